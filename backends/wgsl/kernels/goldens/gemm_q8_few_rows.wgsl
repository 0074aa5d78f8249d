// x[16, 96] times the transposed w0[96, 96] q8, in tiles of 16 x 64.
// out0: of rows w0[0..96]

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> out0: array<f32>;

var<workgroup> x_tile: array<vec4<f32>, 80>;

var<workgroup> w_tile0: array<vec4<f32>, 320>;

fn x_four(row: u32, column: u32) -> vec4<f32> {
  return x[row * 24u + column / 4u];
}

fn w0_scale(row: u32, block: u32) -> vec2<f32> {
  let at = 2304u + row * 2u + block / 2u;
  return vec2<f32>(unpack2x16float(w0[at / 4u][at % 4u])[block % 2u], 128.0);
}

fn w0_four(row: u32, column: u32) -> vec4<f32> {
  let bits = w0[row * 6u + column / 16u][(column / 4u) % 4u];
  let codes = vec4<f32>((vec4<u32>(bits) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
  let scale = w0_scale(row, column / 32u);
  return (codes - scale.y) * scale.x;
}

fn store0(row: u32, column: u32, y0: f32) {
  let value = y0;
  out0[row * 96u + column] = value;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row_count = 16u;
  let first_row = (workgroup.y * workgroups.x + workgroup.x) * 16u;
  if (first_row >= row_count) { return; }
  let first_column = workgroup.z * 64u;
  let down = local / 16u;
  let right = local % 16u;
  var sum0 = vec4<f32>();
  for (var depth = 0u; depth < 96u; depth += 16u) {
    for (var i = local; i < 64u; i += 256u) {
      let row = min(first_row + i / 4u, row_count - 1u);
      let column = depth + 4u * (i % 4u);
      var four = vec4<f32>();
      four = x_four(row, column);
      x_tile[i / 4u * 5u + i % 4u] = four;
    }
    for (var i = local; i < 256u; i += 256u) {
      let row = 0u + min(first_column + i / 4u, 95u);
      let column = depth + 4u * (i % 4u);
      var four = vec4<f32>();
      four = w0_four(row, column);
      w_tile0[i / 4u * 5u + i % 4u] = four;
    }
    workgroupBarrier();
    for (var four = 0u; four < 4u; four++) {
      let a0 = x_tile[(down + 0u) * 5u + four];
      let b00 = w_tile0[(right + 0u) * 5u + four];
      let b01 = w_tile0[(right + 16u) * 5u + four];
      let b02 = w_tile0[(right + 32u) * 5u + four];
      let b03 = w_tile0[(right + 48u) * 5u + four];
      let x0 = vec4<f32>(b00.x, b01.x, b02.x, b03.x);
      let y0 = vec4<f32>(b00.y, b01.y, b02.y, b03.y);
      let z0 = vec4<f32>(b00.z, b01.z, b02.z, b03.z);
      let w0 = vec4<f32>(b00.w, b01.w, b02.w, b03.w);
      sum0 += a0.x * x0;
      sum0 += a0.y * y0;
      sum0 += a0.z * z0;
      sum0 += a0.w * w0;
    }
    workgroupBarrier();
  }
  if (first_row + down + 0u < row_count) {
    for (var j = 0u; j < 4u; j++) {
      let column = first_column + right + 16u * j;
      if (column < 96u) { store0(first_row + down + 0u, column, sum0[j]); }
    }
  }
}
