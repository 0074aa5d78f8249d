import { CONTROL, LEVELS, PART } from './control.ts';

/**
 * The best column of a part of a row; with a temperature, of logit / temperature + Gumbel noise, which samples the
 * softmax (arXiv:1611.01144).
 */
export const BEST_OF_PART = `// best[row][part]: the best column of ${PART}, as score and column
${CONTROL}
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> levels: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> histograms: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read> state: array<u32>; // tokens made so far, then which rows have ended
@group(0) @binding(5) var<storage, read_write> best: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read> statistics: array<vec2<f32>>;

override BY_MIN_P: bool = false;
override LAST_LEVEL: u32 = 8; // of the selection by top-k or top-p; 8 where there is none

${LEVELS}
var<workgroup> scores: array<f32, 256>;
var<workgroup> columns: array<u32, 256>;

// PCG over mixed counters (jcgt.org/published/0009/03/02, pcg4d): one number for each seed, token, row and column
fn random(row: u32, column: u32) -> u32 {
  var v = vec4<u32>(control.seed, state[0], row, column) * 1664525u + 1013904223u;
  v.x += v.y * v.w; v.y += v.z * v.x; v.z += v.x * v.y; v.w += v.y * v.z;
  v ^= v >> vec4<u32>(16u);
  v.x += v.y * v.w; v.y += v.z * v.x; v.z += v.x * v.y; v.w += v.y * v.z;
  return v.x;
}

// -log(-log(1 - u)) for u in (0, 1): the small u make the large noise, and floats are dense there
fn gumbel(bits: u32) -> f32 {
  let u = (f32(bits) + 0.5) * 2.3283064e-10;
  if (u < 1e-3) { return -log(u + 0.5 * u * u); }
  return -log(-log(max(1.0 - u, 3e-8)));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.y;
  let end = min((group.x + 1u) * ${PART}u, control.vocab);
  var least = 0u;
  if (LAST_LEVEL < 8u) {
    least = resolved(row, LAST_LEVEL, lane).x;
    // where the next token begins
    if (group.x == 0u) {
      atomicStore(&histograms[row * LEVELS * 256u + lane], 0u);
      atomicStore(&histograms[(row * LEVELS + 4u) * 256u + lane], 0u);
    }
  }
  var floor = -3.4e38;
  if (BY_MIN_P) {
    for (var part = 0u; part < control.parts; part++) { floor = max(floor, statistics[row * control.parts + part].x); }
    floor += control.log_min_p;
  }
  var score = -3.4e38;
  var column = control.vocab;
  for (var c = group.x * ${PART}u + lane; c < end; c += LANES) {
    let x = logits[row * control.columns + c];
    if (ordered(x) < max(least, 1u)) { continue; }
    var s = x;
    if (control.temperature > 0.0) {
      if (BY_MIN_P && scaled(x) < floor) { continue; }
      s = scaled(x) + gumbel(random(row, c));
    }
    if (beats(s, c, score, column)) { score = s; column = c; }
  }
  scores[lane] = score;
  columns[lane] = column;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      if (beats(scores[lane + half], columns[lane + half], scores[lane], columns[lane])) { scores[lane] = scores[lane + half]; columns[lane] = columns[lane + half]; }
    }
    workgroupBarrier();
  }
  if (lane == 0u) { best[row * control.parts + group.x] = vec2<f32>(scores[0], bitcast<f32>(columns[0])); }
}
`;

/** Logits of tokens that the prompt or the answer has already, made less likely: in place, once for each token. */
export const PENALIZE = `// tokens that are there already
${CONTROL}
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read> seen: array<u32>; // a bit a token, row after row

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.y;
  let end = min((group.x + 1u) * ${PART}u, control.vocab);
  for (var c = group.x * ${PART}u + lane; c < end; c += LANES) {
    if (((seen[seen_word(row, c)] >> (c % 32u)) & 1u) == 0u) { continue; }
    let x = logits[row * control.columns + c];
    logits[row * control.columns + c] = select(x / control.penalty, x * control.penalty, x < 0.0);
  }
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
@group(0) @binding(8) var<storage, read_write> seen: array<u32>;

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
      if (beats(other.x, bitcast<u32>(other.y), winner.x, bitcast<u32>(winner.y))) { winner = other; }
    }
    // ended rows go on reading padding: nothing reads what comes of it, and the batch keeps one shape
    let token = select(bitcast<u32>(winner.y), control.pad, state[1u + row] != 0u);
    if (stops(token)) { state[1u + row] = 1u; }
    if (control.penalty != 1.0 && token < control.vocab) { seen[seen_word(row, token)] |= 1u << (token % 32u); }
    tokens[(made % control.ring) * control.rows + row] = token;
    // the host ends a row that has no number
    input_ids[row] = i32(select(token, control.pad, token == control.vocab));
    position_ids[row] += 1;
    attention_mask[row * control.capacity + past] = 1;
  }
  sizes[PAST] = past;
  state[0] = made + 1u;
}
`;
