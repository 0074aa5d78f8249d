// Rows of a table of 96 columns (q4z) at ids: an invocation four neighbours.

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> ids: array<i32>;
@group(0) @binding(2) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

fn w0_scale(row: u32, block: u32) -> vec2<f32> {
  let at = 132u + row * 3u + block;
  return unpack2x16float(w0[at / 4u][at % 4u]);
}

fn w0_four(row: u32, column: u32) -> vec4<f32> {
  let bits = w0[row * 3u + column / 32u][(column / 8u) % 4u] >> (4u * (column % 8u));
  let codes = vec4<f32>((vec4<u32>(bits) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u));
  let scale = w0_scale(row, column / 32u);
  return (codes - scale.y) * scale.x;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 256u + local;
  if (index >= dims.batch_size * dims.seq * 24u) { return; }
  let row = index / 24u;
  let first_column = 4u * (index % 24u);
  let id = u32(ids[row]);
  var four: vec4<f32>;
  if (id < 11u) { four = w0_four(id, first_column); }
  else { return; }
  for (var i = 0u; i < 4u; i++) {
    let column = first_column + i;
    let y0 = four[i];
    out[row * 96u + column] = y0;
  }
}
