/** Columns of logits that one workgroup looks at. */
export const PART = 4096;

/** Ids that end a row on the device, at most: from there on it reads padding. */
export const MAX_STOPS = 4;

/** The unit in which probability is added up: a top-p of less would be none at all, which keeps every token. */
export const LEAST_TOP_P = 2 ** -30;

/** Bytes of `Control`. */
export const CONTROL_BYTES = 80;

/** What every kernel of sampling reads at binding 0, with helpers that they share. */
export const CONTROL = `struct Control {
  temperature: f32, // 0 takes the largest
  top_p: f32,       // 1 keeps all
  top_k: u32,       // 0 keeps all
  seed: u32,
  vocab: u32,       // columns that mean a token
  pad: u32,
  ring: u32,        // tokens a row that are kept for the host
  stops: u32,       // how many of stop_0 … stop_3 count
  stop_0: u32, stop_1: u32, stop_2: u32, stop_3: u32,
  rows: u32,
  columns: u32,     // elements of a row of logits
  parts: u32,       // workgroups a row
  capacity: u32,
  penalty: f32,     // of tokens that are there already; 1 for none
  log_min_p: f32,   // of the likeliest token's probability, what a token must have
  unused_0: u32, unused_1: u32,
}
@group(0) @binding(0) var<uniform> control: Control;

const LANES = 256u;

// floats in the order of unsigned numbers; NaN is 0, and never chosen
fn ordered(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0u; }
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

// a logit by the temperature, finite where the logit is not
fn scaled(x: f32) -> f32 { return clamp(x, -1e30, 1e30) / control.temperature; }

// where the bit lies that says whether a row has a token already
fn seen_word(row: u32, token: u32) -> u32 { return row * ((control.vocab + 31u) / 32u) + token / 32u; }

// whether a column with its score is chosen before another: the first of equals; vocab means none
fn beats(score: f32, column: u32, other_score: f32, other: u32) -> bool {
  if (column == control.vocab || other == control.vocab) { return column < other; }
  return score > other_score || (score == other_score && column < other);
}
`;

/**
 * Reading the levels of a selection: `levels[row][i]` is what is known before level i (the high bits of the key looked
 * for, and how much is still wanted of keys that begin with them), `histograms[row][i]` what keys with these bits have
 * in their next 8 bits. Levels 0 to 3 are of top-k, which counts, 4 to 7 of top-p, which adds up probability in units
 * of 2^-30: integers, so that the order of adding does not matter.
 */
export const LEVELS = `const LEVELS = 8u;
var<workgroup> suffix: array<u32, 256>;
var<workgroup> chosen: vec2<u32>;

// what level i has found: the 8 bits whose keys, with all larger ones, are as much as is wanted
fn resolved(row: u32, i: u32, lane: u32) -> vec2<u32> {
  suffix[lane] = atomicLoad(&histograms[(row * LEVELS + i) * 256u + lane]);
  workgroupBarrier();
  for (var reach = 1u; reach < 256u; reach *= 2u) {
    var more = 0u;
    if (lane + reach < 256u) { more = suffix[lane + reach]; }
    workgroupBarrier();
    suffix[lane] += more;
    workgroupBarrier();
  }
  let before = levels[row * LEVELS + i];
  let wanted = min(before.y, suffix[0]); // probabilities are rounded
  var larger = 0u;
  if (lane < 255u) { larger = suffix[lane + 1u]; }
  if (suffix[lane] >= wanted && larger < wanted) { chosen = vec2<u32>((before.x << 8u) | lane, wanted - larger); }
  workgroupBarrier();
  return workgroupUniformLoad(&chosen);
}
`;
