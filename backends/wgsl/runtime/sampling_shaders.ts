/** Columns of logits that one workgroup looks at. */
export const PART = 4096;

const CONTROL = `struct Control {
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
  parts: u32,
  capacity: u32,
}
@group(0) @binding(0) var<uniform> control: Control;
`;

/**
 * The least logit that top-k and top-p keep, one workgroup a row: bits of a float, mapped so that they sort as the floats do, are
 * found from the highest down. Top-p is taken of what top-k leaves, as in transformers.
 */
export const THRESHOLD = `// threshold[row]: the least logit that stays under top-k and top-p
${CONTROL}
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> threshold: array<f32>;

const LANES = 256u;
var<workgroup> sums: array<f32, 256>;

fn reduced(lane: u32, value: f32, largest: bool) -> f32 {
  sums[lane] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) { sums[lane] = select(sums[lane] + sums[lane + half], max(sums[lane], sums[lane + half]), largest); }
    workgroupBarrier();
  }
  let total = sums[0];
  workgroupBarrier();
  return total;
}

// floats in the order of unsigned numbers, and back
fn ordered(x: f32) -> u32 { let bits = bitcast<u32>(x); return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u); }
fn unordered(bits: u32) -> f32 { return bitcast<f32>(select(~bits, bits & 0x7fffffffu, bits >= 0x80000000u)); }

// how many logits are at least this, or how much probability they have
fn kept(lane: u32, first: u32, least: u32, largest: f32, mass: bool) -> f32 {
  var sum = 0.0;
  for (var c = lane; c < control.vocab; c += LANES) {
    let x = logits[first + c];
    if (ordered(x) >= least) { sum += select(1.0, exp((x - largest) / control.temperature), mass); }
  }
  return reduced(lane, sum, false);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * control.columns;
  var most = -3.4e38;
  for (var c = lane; c < control.vocab; c += LANES) { most = max(most, logits[first + c]); }
  let largest = reduced(lane, most, true);
  var least = 0u;
  if (control.top_k > 0u && control.top_k < control.vocab) {
    for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
      if (kept(lane, first, least | bit, largest, false) >= f32(control.top_k)) { least |= bit; }
    }
  }
  if (control.top_p < 1.0) {
    let wanted = control.top_p * kept(lane, first, least, largest, true);
    var nucleus = 0u;
    for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
      if (kept(lane, first, nucleus | bit, largest, true) >= wanted) { nucleus |= bit; }
    }
    least = max(least, nucleus);
  }
  if (lane == 0u) { threshold[group.x] = select(unordered(least), -3.4e38, least == 0u); }
}
`;

/** The best column of a part of a row; with a temperature, of logit / temperature + Gumbel noise, which samples the softmax (arXiv:1611.01144). */
export const BEST_OF_PART = `// best[row][part]: the best column of ${PART}, as score and column
${CONTROL}
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> threshold: array<f32>;
@group(0) @binding(3) var<storage, read> state: array<u32>; // tokens made so far, then which rows have ended
@group(0) @binding(4) var<storage, read_write> best: array<vec2<f32>>;

const LANES = 256u;
var<workgroup> scores: array<f32, 256>;
var<workgroup> columns: array<u32, 256>;

// PCG's output function over mixed counters (jcgt.org/published/0009/03/02, pcg3d)
fn random(row: u32, column: u32) -> f32 {
  var v = vec3<u32>(control.seed ^ (state[0] * 0x9e3779b9u), row, column) * 1664525u + 1013904223u;
  v.x += v.y * v.z; v.y += v.z * v.x; v.z += v.x * v.y;
  v ^= v >> vec3<u32>(16u);
  v.x += v.y * v.z; v.y += v.z * v.x; v.z += v.x * v.y;
  return (f32(v.x >> 8u) + 0.5) / 16777216.0;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.y;
  let end = min((group.x + 1u) * ${PART}u, control.vocab);
  var score = -3.4e38;
  var column = control.vocab;
  for (var c = group.x * ${PART}u + lane; c < end; c += LANES) {
    let x = logits[row * control.columns + c];
    if (control.temperature > 0.0 && x < threshold[row]) { continue; }
    var s = x;
    if (control.temperature > 0.0) { s = x / control.temperature - log(-log(random(row, c))); }
    if (s > score || column == control.vocab) { score = s; column = c; }
  }
  scores[lane] = score;
  columns[lane] = column;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      let better = scores[lane + half] > scores[lane] || (scores[lane + half] == scores[lane] && columns[lane + half] < columns[lane]);
      if (better) { scores[lane] = scores[lane + half]; columns[lane] = columns[lane + half]; }
    }
    workgroupBarrier();
  }
  if (lane == 0u) { best[row * control.parts + group.x] = vec2<f32>(scores[0], bitcast<f32>(columns[0])); }
}
`;

/** The token of every row, and all that the next step reads: nothing goes to the host in between. */
export const FINISH = `// the best of all parts becomes the token; the step moves on
${CONTROL}
@group(0) @binding(1) var<storage, read> best: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> input_ids: array<i32>;
@group(0) @binding(5) var<storage, read_write> position_ids: array<i32>;
@group(0) @binding(6) var<storage, read_write> attention_mask: array<i32>;
@group(0) @binding(7) var<storage, read_write> sizes: array<u32>; // dims, as storage

override PAST: u32; // where the symbol past lies in dims

fn stops(token: u32) -> bool {
  return (control.stops > 0u && token == control.stop_0) || (control.stops > 1u && token == control.stop_1)
    || (control.stops > 2u && token == control.stop_2) || (control.stops > 3u && token == control.stop_3);
}

@compute @workgroup_size(1)
fn main() {
  let made = state[0];
  let past = sizes[PAST] + 1u;
  for (var row = 0u; row < control.rows; row++) {
    var winner = best[row * control.parts];
    for (var part = 1u; part < control.parts; part++) {
      let other = best[row * control.parts + part];
      if (other.x > winner.x) { winner = other; }
    }
    // ended rows go on reading padding: nothing reads what comes of it, and the batch keeps one shape
    let token = select(bitcast<u32>(winner.y), control.pad, state[1u + row] != 0u);
    if (stops(token)) { state[1u + row] = 1u; }
    tokens[(made % control.ring) * control.rows + row] = token;
    input_ids[row] = i32(token);
    position_ids[row] += 1;
    attention_mask[row * control.capacity + past] = 1;
  }
  sizes[PAST] = past;
  state[0] = made + 1u;
}
`;
