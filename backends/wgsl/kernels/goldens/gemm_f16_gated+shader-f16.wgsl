// x[batch_size * seq, 96] times the transposed w0[192, 96] f16, in tiles of 64 x 64.
// out0: of rows w0[0..96], w0[96..192]
enable f16;

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> out0: array<f32>;

var<workgroup> x_tile: array<vec4<f32>, 320>;

var<workgroup> w_tile0: array<vec4<f16>, 320>;

var<workgroup> w_tile1: array<vec4<f16>, 320>;

fn x_four(row: u32, column: u32) -> vec4<f32> {
  return x[row * 24u + column / 4u];
}

fn w0_four(row: u32, column: u32) -> vec4<f16> {
  let bits = w0[row * 12u + column / 8u];
  return bitcast<vec4<f16>>(select(bits.xy, bits.zw, column % 8u == 4u));
}

fn gelu_of(x: f32) -> f32 { return 0.5 * x * (1.0 + tanh(0.7978846 * (x + 0.044715 * x * x * x))); }

fn store0(row: u32, column: u32, y0: f32, y1: f32) {
  let value = gelu_of(y0) * y1;
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
  var sum0_0 = vec4<f32>();
  var sum1_0 = vec4<f32>();
  var sum2_0 = vec4<f32>();
  var sum3_0 = vec4<f32>();
  var sum0_1 = vec4<f32>();
  var sum1_1 = vec4<f32>();
  var sum2_1 = vec4<f32>();
  var sum3_1 = vec4<f32>();
  for (var depth = 0u; depth < 96u; depth += 16u) {
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
      var four = vec4<f16>();
      four = w0_four(row, column);
      w_tile0[i / 4u * 5u + i % 4u] = four;
    }
    for (var i = local; i < 256u; i += 256u) {
      let row = 96u + min(first_column + i / 4u, 95u);
      let column = depth + 4u * (i % 4u);
      var four = vec4<f16>();
      four = w0_four(row, column);
      w_tile1[i / 4u * 5u + i % 4u] = four;
    }
    workgroupBarrier();
    for (var four = 0u; four < 4u; four++) {
      let a0 = x_tile[(down + 0u) * 5u + four];
      let a1 = x_tile[(down + 16u) * 5u + four];
      let a2 = x_tile[(down + 32u) * 5u + four];
      let a3 = x_tile[(down + 48u) * 5u + four];
      let b00 = vec4<f32>(w_tile0[(right + 0u) * 5u + four]);
      let b01 = vec4<f32>(w_tile0[(right + 16u) * 5u + four]);
      let b02 = vec4<f32>(w_tile0[(right + 32u) * 5u + four]);
      let b03 = vec4<f32>(w_tile0[(right + 48u) * 5u + four]);
      let x0 = vec4<f32>(b00.x, b01.x, b02.x, b03.x);
      let y0 = vec4<f32>(b00.y, b01.y, b02.y, b03.y);
      let z0 = vec4<f32>(b00.z, b01.z, b02.z, b03.z);
      let w0 = vec4<f32>(b00.w, b01.w, b02.w, b03.w);
      sum0_0 += a0.x * x0;
      sum0_0 += a0.y * y0;
      sum0_0 += a0.z * z0;
      sum0_0 += a0.w * w0;
      sum1_0 += a1.x * x0;
      sum1_0 += a1.y * y0;
      sum1_0 += a1.z * z0;
      sum1_0 += a1.w * w0;
      sum2_0 += a2.x * x0;
      sum2_0 += a2.y * y0;
      sum2_0 += a2.z * z0;
      sum2_0 += a2.w * w0;
      sum3_0 += a3.x * x0;
      sum3_0 += a3.y * y0;
      sum3_0 += a3.z * z0;
      sum3_0 += a3.w * w0;
      let b10 = vec4<f32>(w_tile1[(right + 0u) * 5u + four]);
      let b11 = vec4<f32>(w_tile1[(right + 16u) * 5u + four]);
      let b12 = vec4<f32>(w_tile1[(right + 32u) * 5u + four]);
      let b13 = vec4<f32>(w_tile1[(right + 48u) * 5u + four]);
      let x1 = vec4<f32>(b10.x, b11.x, b12.x, b13.x);
      let y1 = vec4<f32>(b10.y, b11.y, b12.y, b13.y);
      let z1 = vec4<f32>(b10.z, b11.z, b12.z, b13.z);
      let w1 = vec4<f32>(b10.w, b11.w, b12.w, b13.w);
      sum0_1 += a0.x * x1;
      sum0_1 += a0.y * y1;
      sum0_1 += a0.z * z1;
      sum0_1 += a0.w * w1;
      sum1_1 += a1.x * x1;
      sum1_1 += a1.y * y1;
      sum1_1 += a1.z * z1;
      sum1_1 += a1.w * w1;
      sum2_1 += a2.x * x1;
      sum2_1 += a2.y * y1;
      sum2_1 += a2.z * z1;
      sum2_1 += a2.w * w1;
      sum3_1 += a3.x * x1;
      sum3_1 += a3.y * y1;
      sum3_1 += a3.z * z1;
      sum3_1 += a3.w * w1;
    }
    workgroupBarrier();
  }
  if (first_row + down + 0u < row_count) {
    for (var j = 0u; j < 4u; j++) {
      let column = first_column + right + 16u * j;
      if (column < 96u) { store0(first_row + down + 0u, column, sum0_0[j], sum0_1[j]); }
    }
  }
  if (first_row + down + 16u < row_count) {
    for (var j = 0u; j < 4u; j++) {
      let column = first_column + right + 16u * j;
      if (column < 96u) { store0(first_row + down + 16u, column, sum1_0[j], sum1_1[j]); }
    }
  }
  if (first_row + down + 32u < row_count) {
    for (var j = 0u; j < 4u; j++) {
      let column = first_column + right + 16u * j;
      if (column < 96u) { store0(first_row + down + 32u, column, sum2_0[j], sum2_1[j]); }
    }
  }
  if (first_row + down + 48u < row_count) {
    for (var j = 0u; j < 4u; j++) {
      let column = first_column + right + 16u * j;
      if (column < 96u) { store0(first_row + down + 48u, column, sum3_0[j], sum3_1[j]); }
    }
  }
}
