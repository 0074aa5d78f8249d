// softmax(50 tanh(q·k / 50) + bias)·v, 4 heads of 32 over 2 of keys and values: a workgroup has 32 queries and sees keys and values in tiles of 32, with the softmax of what was seen so far.

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

var<workgroup> left: array<vec4<f32>, 288>;
var<workgroup> right: array<vec4<f32>, 288>;
// Scores of 32 rows for 32 keys, then their weights.
var<workgroup> scores: array<vec4<f32>, 288>;
var<workgroup> parts: array<f32, 128>;
var<workgroup> sums: array<f32, 128>;
var<workgroup> factors: array<f32, 32>;

fn q_four(row: u32, four: u32) -> vec4<f32> {
  return q[row * 8u + four];
}

fn k_four(row: u32, four: u32) -> vec4<f32> {
  return k[row * 8u + four];
}

fn v_four(row: u32, four: u32) -> vec4<f32> {
  return v[row * 8u + four];
}

fn store_four(row: u32, four: u32, value: vec4<f32>) {
  out[row * 8u + four] = value;
}

fn tanh_of(x: f32) -> f32 {
  let s = x * x;
  let near = x + x * s * (-0.33333333 + s * (0.13333333 + s * (-0.053968254 + s * 0.021869488)));
  let t = exp(-2.0 * min(abs(x), 15.0));
  return select(sign(x) * (1.0 - t) / (1.0 + t), near, abs(x) < 0.3);
}

fn score_of(product: f32, b: u32, s: u32, key: u32) -> f32 {
  return 50f * tanh_of(product / 50f) + bias[(b * dims.seq + s) * dims.capacity + key];
}

fn score_row(product: vec4<f32>, b: u32, row: u32, first_key: u32) -> vec4<f32> {
  var result = vec4<f32>(-3.4e38);
  if (row >= dims.seq * 2u) { return result; }
  for (var i = 0u; i < 4u; i++) {
    let key = first_key + i;
    if (key < (dims.past + dims.seq)) { result[i] = score_of(product[i], b, row / 2u, key); }
  }
  return result;
}

fn exp_below(x: vec4<f32>) -> vec4<f32> {
  return exp(max(x, vec4<f32>(-100.0)));
}

// Where row `row` (s, head within the group) of a KV head's queries lies among rows of q.
fn query_row(b: u32, kv: u32, row: u32) -> u32 {
  return (b * dims.seq + row / 2u) * 4u + kv * 2u + row % 2u;
}

fn load_queries(local: u32, b: u32, kv: u32, first_row: u32, chunk: u32) {
  for (var i = local; i < 256u; i += 128u) {
    let row = i / 8u;
    let four = chunk * 8u + i % 8u;
    var value = vec4<f32>();
    if (first_row + row < dims.seq * 2u) { value = q_four(query_row(b, kv, first_row + row), four); }
    left[row * 9u + i % 8u] = value;
  }
}

// Key 4x + i lies in row 8i + x: so do neighbours in x read other banks.
fn load_keys(local: u32, first: u32, first_key: u32, chunk: u32) {
  for (var i = local; i < 256u; i += 128u) {
    let row = i / 8u;
    let four = chunk * 8u + i % 8u;
    var value = vec4<f32>();
    if (first_key + row < (dims.past + dims.seq)) { value = k_four(first + first_key + row, four); }
    right[(8u * (row % 4u) + row / 4u) * 9u + i % 8u] = value;
  }
}

fn load_values(local: u32, first: u32, first_key: u32, chunk: u32) {
  for (var i = local; i < 256u; i += 128u) {
    let row = i / 8u;
    let four = chunk * 8u + i % 8u;
    var value = vec4<f32>();
    if (first_key + row < (dims.past + dims.seq)) { value = v_four(first + first_key + row, four); }
    right[row * 9u + i % 8u] = value;
  }
}

// Products of the chunk of two rows with keys 4x … 4x + 3.
fn products(x: u32, y: u32, width: u32) -> mat2x4<f32> {
  var sum = mat2x4<f32>();
  for (var four = 0u; four < width; four++) {
    let q0 = left[y * 9u + four];
    let q1 = left[(y + 16u) * 9u + four];
    let k0 = right[x * 9u + four];
    let k1 = right[(x + 8u) * 9u + four];
    let k2 = right[(x + 16u) * 9u + four];
    let k3 = right[(x + 24u) * 9u + four];
    sum += mat2x4<f32>(dot(q0, k0), dot(q0, k1), dot(q0, k2), dot(q0, k3), dot(q1, k0), dot(q1, k1), dot(q1, k2), dot(q1, k3));
  }
  return sum;
}

// What was mixed so far, scaled, and the tile's values by the weights of two rows.
fn mix(before: mat2x4<f32>, x: u32, y: u32) -> mat2x4<f32> {
  var first = before[0] * factors[y];
  var second = before[1] * factors[y + 16u];
  for (var four = 0u; four < 8u; four++) {
    let w0 = scores[y * 9u + four];
    let w1 = scores[(y + 16u) * 9u + four];
    let at = four * 36u + x;
    let v0 = right[at];
    let v1 = right[at + 9u];
    let v2 = right[at + 18u];
    let v3 = right[at + 27u];
    first += w0.x * v0 + w0.y * v1 + w0.z * v2 + w0.w * v3;
    second += w1.x * v0 + w1.y * v1 + w1.z * v2 + w1.w * v3;
  }
  return mat2x4<f32>(first, second);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let first_row = workgroup.x * 32u;
  let kv = workgroup.y;
  let b = workgroup.z;
  let first = (b * 2u + kv) * dims.capacity;
  let x = local % 8u;
  let y = local / 8u;
  // In the softmax, four invocations have a row, a quarter of its keys each.
  let quarter = local % 4u;
  let own = (local / 4u) * 9u + 2u * quarter;
  let own_row = local - quarter;
  var most = -3.4e38f;
  var total_weight = 0.0;
  var mixed0 = mat2x4<f32>();
  for (var first_key = 0u; first_key < (dims.past + dims.seq); first_key += 32u) {
    var product = mat2x4<f32>();
    for (var chunk = 0u; chunk < 1u; chunk++) {
      workgroupBarrier();
      load_queries(local, b, kv, first_row, chunk);
      load_keys(local, first, first_key, chunk);
      workgroupBarrier();
      product += products(x, y, min(8u, 8u - 8u * chunk));
    }
    scores[y * 9u + x] = score_row(product[0], b, first_row + y, first_key + 4u * x);
    scores[(y + 16u) * 9u + x] = score_row(product[1], b, first_row + y + 16u, first_key + 4u * x);
    workgroupBarrier();
    var low = scores[own];
    var high = scores[own + 1u];
    let larger = max(low, high);
    parts[local] = max(max(larger.x, larger.y), max(larger.z, larger.w));
    workgroupBarrier();
    let before = most;
    most = max(most, max(max(parts[own_row], parts[own_row + 1u]), max(parts[own_row + 2u], parts[own_row + 3u])));
    low = exp_below(low - most);
    high = exp_below(high - most);
    scores[own] = low;
    scores[own + 1u] = high;
    sums[local] = dot(low + high, vec4<f32>(1.0));
    let factor = exp_below(vec4<f32>(before - most)).x;
    if (quarter == 0u) { factors[local / 4u] = factor; }
    workgroupBarrier();
    total_weight = total_weight * factor + sums[own_row] + sums[own_row + 1u] + sums[own_row + 2u] + sums[own_row + 3u];
    load_values(local, first, first_key, 0u);
    workgroupBarrier();
    mixed0 = mix(mixed0, x, y);
  }
  workgroupBarrier();
  if (quarter == 0u) { factors[local / 4u] = 1.0 / total_weight; }
  workgroupBarrier();
  for (var i = 0u; i < 2u; i++) {
    let row = first_row + y + 16u * i;
    if (row >= dims.seq * 2u) { continue; }
    let at = query_row(b, kv, row);
    let scale = factors[y + 16u * i];
    store_four(at, 0u + x, mixed0[i] * scale);
  }
}
