// softmax(50 tanh(q·k / 50) + bias)·v, 4 heads of 32 over 2 of keys and values, for one query a sequence: a workgroup mixes 32 keys' values for 2 of the heads that share them, weighed by exp(score - most). stats: most, and the sum of the weights.

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> partial: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> stats: array<vec2<f32>>;

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
  partial[row * 8u + four] = value;
}

fn tanh_of(x: f32) -> f32 {
  let s = x * x;
  let near = x + x * s * (-0.33333333 + s * (0.13333333 + s * (-0.053968254 + s * 0.021869488)));
  let t = exp(-2.0 * min(abs(x), 15.0));
  return select(sign(x) * (1.0 - t) / (1.0 + t), near, abs(x) < 0.3);
}

fn score_of(product: f32, b: u32, s: u32, key: u32) -> f32 {
  return 50f * tanh_of(product / 50f) + bias[(b * 1u + s) * dims.capacity + key];
}

fn exp_below(x: f32) -> f32 {
  return exp(max(x, -100.0));
}

// Queries; then parts of products; then parts of what is mixed.
var<workgroup> shared_fours: array<vec4<f32>, 288>;
var<workgroup> scores: array<f32, 128>;
var<workgroup> weights: array<f32, 128>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let split = workgroup.x;
  let first_head = workgroup.y * 2u;
  let kv = first_head / 2u;
  let b = workgroup.z;
  let first_key = split * 32u;
  let count = min(32u, (dims.past + dims.seq) - first_key);
  let first_row = (b * 2u + kv) * dims.capacity + first_key;
  for (var i = local; i < 16u; i += 256u) {
    shared_fours[i] = q_four(b * 4u + first_head + i / 8u, i % 8u);
  }
  workgroupBarrier();

  // Products: eight invocations a key.
  let key = local / 8u;
  let lane = local % 8u;
  var dot0 = 0.0;
  var dot1 = 0.0;
  if (key < count) {
    for (var four = lane; four < 8u; four += 8u) {
      let k_part = k_four(first_row + key, four);
      dot0 += dot(shared_fours[0u + four], k_part);
      dot1 += dot(shared_fours[8u + four], k_part);
    }
  }
  workgroupBarrier();
  shared_fours[(key * 9u + lane) * 1u + 0u] = vec4<f32>(dot0, dot1, 0.0, 0.0);
  workgroupBarrier();
  if (local < 32u) {
    let scored = local / 1u;
    let v = local % 1u;
    var product = vec4<f32>();
    for (var i = 0u; i < 8u; i++) { product += shared_fours[(scored * 9u + i) * 1u + v]; }
    for (var i = 0u; i < 4u; i++) {
      var score = -3.4e38f;
      if (scored < count) { score = score_of(product[i], b, 0u, first_key + scored); }
      scores[(4u * v + i) * 32u + scored] = score;
    }
  }
  workgroupBarrier();

  // Weights: an invocation a head and key.
  let head = local / 32u;
  var most = -3.4e38f;
  if (head < 2u) {
    for (var i = 0u; i < count; i++) { most = max(most, scores[head * 32u + i]); }
    weights[local] = exp_below(scores[local] - most);
  }
  workgroupBarrier();
  if (head < 2u && local % 32u == 0u) {
    var weight = 0.0;
    for (var i = 0u; i < count; i++) { weight += weights[local + i]; }
    stats[(b * 4u + first_head + head) * (((dims.past + dims.seq) + 31u) / 32u) + split] = vec2<f32>(most, weight);
  }

  // Values: 8 invocations four elements, each for every 8th key.
  for (var base = 0u; base < 8u; base += 8u) {
    let column = base + local % 8u;
    let first = local / 8u;
    let is_mine = first < 8u && column < 8u;
    var mixed0 = vec4<f32>();
    var mixed1 = vec4<f32>();
    if (is_mine) {
      for (var i = first; i < count; i += 8u) {
        let v_part = v_four(first_row + i, column);
        mixed0 += weights[0u + i] * v_part;
        mixed1 += weights[32u + i] * v_part;
      }
    }
    for (var other = 1u; other < 8u; other++) {
      workgroupBarrier();
      if (is_mine && first == other) {
        shared_fours[0u + local % 8u] = mixed0;
        shared_fours[8u + local % 8u] = mixed1;
      }
      workgroupBarrier();
      if (is_mine && first == 0u) {
        mixed0 += shared_fours[0u + local % 8u];
        mixed1 += shared_fours[8u + local % 8u];
      }
    }
    if (is_mine && first == 0u) {
      store_four((b * 4u + first_head + 0u) * (((dims.past + dims.seq) + 31u) / 32u) + split, column, mixed0);
      store_four((b * 4u + first_head + 1u) * (((dims.past + dims.seq) + 31u) / 32u) + split, column, mixed1);
    }
  }
}
