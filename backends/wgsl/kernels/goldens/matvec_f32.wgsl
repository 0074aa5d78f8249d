// x[1, 33] times the transposed w0[96, 33] f32.
// out0: of rows w0[0..96]

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> out0: array<f32>;

// Four elements of x each, in the order in which the codes come.
var<workgroup> staged: array<vec4<f32>, 10>;

var<workgroup> sums: array<vec2<f32>, 128>;

fn element(start: u32, column: u32) -> f32 {
  if (column >= 33u) { return 0.0; }
  return x[start + column];
}

fn w0_product(
  row: u32,
  vector: u32,
  x0: vec4<f32>,
  sum: f32,
) -> f32 {
  let bits = w0[row * 9u + vector];
  var total = vec4<f32>();
  total += bitcast<vec4<f32>>(bits) * x0;
  return dot(total, vec4<f32>(1.0));
}

fn products_w02(start: u32, rows: vec2<u32>, lane: u32, local: u32) -> vec2<f32> {
  var total = vec2<f32>();
  let first = 0u;
  for (var i = local; i < 9u; i += 128u) {
    let vector = i / 1u;
    let four = i % 1u;
    let column = (first + vector) * 4u + 4u * four;
    staged[four * 10u + vector] = vec4<f32>(element(start, column), element(start, column + 1u), element(start, column + 2u), element(start, column + 3u));
  }
  workgroupBarrier();
  for (var vector = lane; vector < 9u; vector += 8u) {
    let x0 = staged[vector];
    let sum = 0.0;
    total.x += w0_product(rows.x, first + vector, x0, sum);
    total.y += w0_product(rows.y, first + vector, x0, sum);
  }
  return total;
}

fn store0(row: u32, column: u32, y0: f32) {
  let value = y0;
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
  total = products_w02(row * 33u, rows, lane, local);
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
