// Rotates the halves of each head of x[batch, seq, 4, 32] by the angles of its position, into the cache behind what is there: an invocation a pair.

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<i32>;
@group(0) @binding(3) var<storage, read> rope: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 256u + local;
  if (index >= dims.batch_size * dims.seq * 64u) { return; }
  let b = index / (dims.seq * 64u);
  let s = (index / 64u) % dims.seq;
  let head = (index / 16u) % 4u;
  let i = (index) % 16u;
  let first = x[(index / 16u) * 32u + i];
  let second = x[(index / 16u) * 32u + i + 16u];
  let angle = u32(positions[b * dims.seq + s]) * 32u + i;
  let cosine = rope[angle];
  let sine = rope[angle + 16u];
  let at = b * dims.capacity * 128u + head * dims.capacity * 32u + (dims.past + s) * 32u + i;
  out[at] = first * cosine - second * sine;
  out[at + 16u] = second * cosine + first * sine;
}
