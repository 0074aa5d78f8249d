// x[batch_size, 96] times the transposed w0[96, 96] f16.
// out0: of rows w0[0..96]

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> e0: array<f32>;
@group(0) @binding(4) var<storage, read> e1: array<f32>;
@group(0) @binding(5) var<storage, read_write> out0: array<f32>;

// Four elements of x each, in the order in which the codes come.
var<workgroup> staged: array<vec4<f32>, 26>;

var<workgroup> sums: array<vec2<f32>, 128>;

fn element(start: u32, column: u32) -> f32 {
  if (column >= 96u) { return 0.0; }
  return x[start + column];
}

fn w0_product(
  row: u32,
  vector: u32,
  x0: vec4<f32>,
  x1: vec4<f32>,
  sum: f32,
) -> f32 {
  let bits = w0[row * 12u + vector];
  var total = vec4<f32>();
  total += vec4<f32>(unpack2x16float(bits.x), unpack2x16float(bits.y)) * x0;
  total += vec4<f32>(unpack2x16float(bits.z), unpack2x16float(bits.w)) * x1;
  return dot(total, vec4<f32>(1.0));
}

fn products_w02(start: u32, rows: vec2<u32>, lane: u32, local: u32) -> vec2<f32> {
  var total = vec2<f32>();
  let first = 0u;
  for (var i = local; i < 24u; i += 128u) {
    let vector = i / 2u;
    let four = i % 2u;
    let column = (first + vector) * 8u + 4u * four;
    staged[four * 13u + vector] = vec4<f32>(element(start, column), element(start, column + 1u), element(start, column + 2u), element(start, column + 3u));
  }
  workgroupBarrier();
  for (var vector = lane; vector < 12u; vector += 8u) {
    let x0 = staged[vector];
    let x1 = staged[13u + vector];
    let sum = 0.0;
    total.x += w0_product(rows.x, first + vector, x0, x1, sum);
    total.y += w0_product(rows.y, first + vector, x0, x1, sum);
  }
  return total;
}

fn store0(row: u32, column: u32, y0: f32) {
  let value = y0 + e0[column] + e1[row * 96u + column];
  out0[row * 96u + column] = value;
}

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let workgroup = workgroup_id.y * workgroups.x + workgroup_id.x;
  if (workgroup >= 3u) { return; }
  let row = workgroup_id.z;
  let group = local / 8u;
  let lane = local % 8u;
  var rows: vec2<u32>;
  var total: vec2<f32>;
  let first = 2u * (workgroup * 16u + group);
  rows.x = 0u + min(first + 0u, 95u);
  rows.y = 0u + min(first + 1u, 95u);
  total = products_w02(row * 96u, rows, lane, local);
  sums[local] = total;
  workgroupBarrier();
  for (var half = 4u; half > 0u; half /= 2u) {
    if (lane < half) { sums[local] += sums[local + half]; }
    workgroupBarrier();
  }
  if (local < 32u) {
    let group = local / 2u;
    let column = 2u * (workgroup * 16u + group) + local % 2u;
    let y = sums[group * 8u];
    if (column < 96u) { store0(row, column, y[local % 2u]); }
  }
}
