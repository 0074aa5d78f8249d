import { CONTROL, LEVELS, PART } from './control.ts';

/** Largest scaled logit of each part of a row, and the sum of exponentials relative to it: of what top-k leaves. */
export const STATISTICS = `// statistics[row][part]: largest logit / temperature of ${PART} columns, and Σ exp(logit / temperature - that)
${CONTROL}
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> levels: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> histograms: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> statistics: array<vec2<f32>>;

override AFTER_TOP_K: bool = false;

${LEVELS}
var<workgroup> values: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.y;
  let end = min((group.x + 1u) * ${PART}u, control.vocab);
  var least = 0u;
  if (AFTER_TOP_K) { least = resolved(row, 3u, lane).x; }
  var most = -3.4e38;
  for (var c = group.x * ${PART}u + lane; c < end; c += LANES) {
    let x = logits[row * control.columns + c];
    if (ordered(x) > 0u) { most = max(most, scaled(x)); }
  }
  values[lane] = most;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) { values[lane] = max(values[lane], values[lane + half]); }
    workgroupBarrier();
  }
  let largest = values[0];
  workgroupBarrier();
  var sum = 0.0;
  for (var c = group.x * ${PART}u + lane; c < end; c += LANES) {
    let x = logits[row * control.columns + c];
    if (ordered(x) >= max(least, 1u)) { sum += exp(scaled(x) - largest); }
  }
  values[lane] = sum;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) { values[lane] += values[lane + half]; }
    workgroupBarrier();
  }
  if (lane == 0u) { statistics[row * control.parts + group.x] = vec2<f32>(largest, values[0]); }
}
`;

/** One level of a selection: 8 more bits of the key of the least logit that stays. */
export const SELECT = `// a histogram of the next 8 bits of those keys that begin as the least one that stays: of their number, or of their probability
${CONTROL}
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> levels: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> histograms: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read> statistics: array<vec2<f32>>;

override LEVEL: u32;                // 0 … 3 count, 4 … 7 add up probability
override AFTER_TOP_K: bool = false; // of what top-k leaves

${LEVELS}
var<workgroup> bins: array<atomic<u32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.y;
  let digit = LEVEL % 4u;
  var known = vec2<u32>(0u, control.top_k);
  if (LEVEL >= 4u) { known.y = u32(control.top_p * 1073741824.0); }
  if (digit > 0u) { known = resolved(row, LEVEL - 1u, lane); }
  var least = 0u;
  if (AFTER_TOP_K && LEVEL >= 4u) { least = resolved(row, 3u, lane).x; }
  if (group.x == 0u) {
    if (lane == 0u) { levels[row * LEVELS + LEVEL] = known; }
    // of this token, no one reads the histogram after this yet
    if (digit < 3u) { atomicStore(&histograms[(row * LEVELS + LEVEL + 1u) * 256u + lane], 0u); }
  }
  var largest = -3.4e38;
  var sum = 0.0;
  if (LEVEL >= 4u) {
    for (var part = 0u; part < control.parts; part++) { largest = max(largest, statistics[row * control.parts + part].x); }
    for (var part = 0u; part < control.parts; part++) {
      let s = statistics[row * control.parts + part];
      sum += s.y * exp(s.x - largest);
    }
  }
  atomicStore(&bins[lane], 0u);
  workgroupBarrier();
  let end = min((group.x + 1u) * ${PART}u, control.vocab);
  for (var c = group.x * ${PART}u + lane; c < end; c += LANES) {
    let x = logits[row * control.columns + c];
    let key = ordered(x);
    var begins = true;
    if (digit > 0u) { begins = (key >> (32u - 8u * digit)) == known.x; }
    if (!begins || key < max(least, 1u)) { continue; }
    var amount = 1u;
    if (LEVEL >= 4u) { amount = u32(round(exp(scaled(x) - largest) / sum * 1073741824.0)); }
    atomicAdd(&bins[(key >> (24u - 8u * digit)) & 255u], amount);
  }
  workgroupBarrier();
  let amount = atomicLoad(&bins[lane]);
  if (amount > 0u) { atomicAdd(&histograms[(row * LEVELS + LEVEL) * 256u + lane], amount); }
}
`;
