// Rows of x[batch, seq, 4, 32] into the cache of each head, behind what is there: an invocation an element.

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> cache: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 256u + local;
  if (index >= dims.batch_size * dims.seq * 128u) { return; }
  let b = index / (dims.seq * 128u);
  let s = (index / 128u) % dims.seq;
  let head = (index / 32u) % 4u;
  let i = (index) % 32u;
  cache[b * dims.capacity * 128u + head * dims.capacity * 32u + (dims.past + s) * 32u + i] = x[index];
}
