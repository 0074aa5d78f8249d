// h = residual + rms_norm(x, 0.000001) * post_scale; out = rms_norm(h, 0.000001) * scale; over the last axis of [batch_size, seq, 96]: a workgroup a row.

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> post_scale: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read> scale: array<f32>;
@group(0) @binding(5) var<storage, read_write> sum_out: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

var<workgroup> sum_parts: array<f32, 64>;
fn sum(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  sum_parts[local] = value;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (local < half) { sum_parts[local] = sum_parts[local] + sum_parts[local + half]; }
    workgroupBarrier();
  }
  return sum_parts[0];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.y * workgroups.x + workgroup.x;
  if (row >= dims.batch_size * dims.seq) { return; }
  let start = (row / dims.seq) * dims.seq * 96u + (((row) % dims.seq)) * 96u;
  let width = 96u;
  var post_squares = 0.0;
  for (var i = local; i < width; i += 64u) {
    post_squares += x[start + i] * x[start + i];
  }
  let post_inverse = 1.0 / sqrt(sum(post_squares, local) / f32(width) + 0.000001f);
  var squares = 0.0;
  for (var i = local; i < width; i += 64u) {
    let h = residual[start + i] + x[start + i] * post_inverse * post_scale[i];
    sum_out[start + i] = h;
    squares += h * h;
  }
  let inverse = 1.0 / sqrt(sum(squares, local) / f32(width) + 0.000001f);
  for (var i = local; i < width; i += 64u) {
    out[start + i] = (sum_out[start + i]) * inverse * scale[i];
  }
}
