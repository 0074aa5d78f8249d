// x[batch_size * seq, 192] times the transposed w0[96, 192] nf4_b64, in tiles of 64 x 64.
// out0: of rows w0[0..96]

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> out0: array<f32>;

var<workgroup> x_tile: array<vec4<f32>, 320>;

var<workgroup> w_tile0: array<vec4<f32>, 320>;

fn x_four(row: u32, column: u32) -> vec4<f32> {
  return x[row * 48u + column / 4u];
}

const nf4_levels = array<f32, 16>(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);

fn nf4_of(codes: vec4<u32>) -> vec4<f32> {
  return vec4<f32>(nf4_levels[codes.x], nf4_levels[codes.y], nf4_levels[codes.z], nf4_levels[codes.w]);
}

fn w0_scale(row: u32, block: u32) -> vec2<f32> {
  let at = 2304u + row * 2u + block / 2u;
  return vec2<f32>(unpack2x16float(w0[at / 4u][at % 4u])[block % 2u], 0.0);
}

fn w0_four(row: u32, column: u32) -> vec4<f32> {
  let bits = w0[row * 6u + column / 32u][(column / 8u) % 4u] >> (4u * (column % 8u));
  let codes = nf4_of((vec4<u32>(bits) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u));
  let scale = w0_scale(row, column / 64u);
  return codes * scale.x;
}

fn store0(row: u32, column: u32, y0: f32) {
  let value = y0;
  out0[row * 96u + column] = value;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row_count = dims.batch_size * dims.seq;
  let first_row = (workgroup.y * workgroups.x + workgroup.x) * 64u;
  if (first_row >= row_count) { return; }
  let first_column = workgroup.z * 64u;
  let down = local / 16u;
  let right = local % 16u;
  var sum0 = vec4<f32>();
  var sum1 = vec4<f32>();
  var sum2 = vec4<f32>();
  var sum3 = vec4<f32>();
  for (var depth = 0u; depth < 192u; depth += 16u) {
    for (var i = local; i < 256u; i += 256u) {
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
      let a1 = x_tile[(down + 16u) * 5u + four];
      let a2 = x_tile[(down + 32u) * 5u + four];
      let a3 = x_tile[(down + 48u) * 5u + four];
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
      sum1 += a1.x * x0;
      sum1 += a1.y * y0;
      sum1 += a1.z * z0;
      sum1 += a1.w * w0;
      sum2 += a2.x * x0;
      sum2 += a2.y * y0;
      sum2 += a2.z * z0;
      sum2 += a2.w * w0;
      sum3 += a3.x * x0;
      sum3 += a3.y * y0;
      sum3 += a3.z * z0;
      sum3 += a3.w * w0;
    }
    workgroupBarrier();
  }
  if (first_row + down + 0u < row_count) {
    for (var j = 0u; j < 4u; j++) {
      let column = first_column + right + 16u * j;
      if (column < 96u) { store0(first_row + down + 0u, column, sum0[j]); }
    }
  }
  if (first_row + down + 16u < row_count) {
    for (var j = 0u; j < 4u; j++) {
      let column = first_column + right + 16u * j;
      if (column < 96u) { store0(first_row + down + 16u, column, sum1[j]); }
    }
  }
  if (first_row + down + 32u < row_count) {
    for (var j = 0u; j < 4u; j++) {
      let column = first_column + right + 16u * j;
      if (column < 96u) { store0(first_row + down + 32u, column, sum2[j]); }
    }
  }
  if (first_row + down + 48u < row_count) {
    for (var j = 0u; j < 4u; j++) {
      let column = first_column + right + 16u * j;
      if (column < 96u) { store0(first_row + down + 48u, column, sum3[j]); }
    }
  }
}
