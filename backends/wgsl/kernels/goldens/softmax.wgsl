// softmax over the last axis of [batch_size, 4, seq, past + seq]: a workgroup a row.

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

var<workgroup> largest_parts: array<f32, 256>;
fn largest(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  largest_parts[local] = value;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (local < half) { largest_parts[local] = max(largest_parts[local], largest_parts[local + half]); }
    workgroupBarrier();
  }
  return largest_parts[0];
}

var<workgroup> sum_parts: array<f32, 256>;
fn sum(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  sum_parts[local] = value;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (local < half) { sum_parts[local] = sum_parts[local] + sum_parts[local + half]; }
    workgroupBarrier();
  }
  return sum_parts[0];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.y * workgroups.x + workgroup.x;
  if (row >= dims.batch_size * dims.seq * 4u) { return; }
  let start = ((row / (dims.seq * 4u))) * dims.seq * dims.capacity * 4u + (((row / dims.seq) % 4u)) * dims.seq * dims.capacity + (((row) % dims.seq)) * dims.capacity;
  let width = (dims.past + dims.seq);
  var most = -3.4e38;
  for (var i = local; i < width; i += 256u) { most = max(most, x[start + i]); }
  most = largest(most, local);
  var total = 0.0;
  for (var i = local; i < width; i += 256u) { total += exp(max(x[start + i] - most, -100.0)); }
  total = sum(total, local);
  for (var i = local; i < width; i += 256u) { out[start + i] = exp(max(x[start + i] - most, -100.0)) / total; }
}
