// Windows of 14 × 14 of x[batch, 3, 28, 28], strides 14, 14, as rows: an invocation an element.

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 256u + local;
  if (index >= dims.batch_size * 2352u) { return; }
  let b = index / 2352u;
  let row = (index / 1176u) % 2u;
  let column = (index / 588u) % 2u;
  let element = (index) % 588u;
  let pixel = x[((b * 3u + element / 196u) * 28u + row * 14u + (element / 14u) % 14u) * 28u + column * 14u + element % 14u];
  out[index] = pixel;
}
