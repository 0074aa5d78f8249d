// x[batch_size, 96], RMS-normalised, times the transposed w0[192, 96] q4z.
// out0: of rows w0[0..96], w0[96..192]
enable subgroups;

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> norm: array<f32>;
@group(0) @binding(3) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> out0: array<f32>;

// Four elements of x each, in the order in which the codes come.
var<workgroup> staged: array<vec4<f32>, 32>;

var<workgroup> sums: array<vec2<f32>, 128>;

var<workgroup> squares: array<f32, 128>;

// Of the elements of x that this invocation reads: the sum of their squares.
var<private> square: f32;

fn element(start: u32, column: u32) -> f32 {
  if (column >= 96u) { return 0.0; }
  let value = x[start + column];
  square += value * value;
  return value * norm[column];
}

fn bytes_of(word: u32) -> vec4<f32> {
  return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}

fn w0_scale(row: u32, block: u32) -> vec2<f32> {
  let at = 2304u + row * 3u + block;
  return unpack2x16float(w0[at / 4u][at % 4u]);
}

fn w0_product(
  row: u32,
  vector: u32,
  x0: vec4<f32>,
  x1: vec4<f32>,
  x2: vec4<f32>,
  x3: vec4<f32>,
  x4: vec4<f32>,
  x5: vec4<f32>,
  x6: vec4<f32>,
  x7: vec4<f32>,
  sum: f32,
) -> f32 {
  let bits = w0[row * 3u + vector];
  var total = vec4<f32>();
  total += bytes_of(bits.x & 0x0f0f0f0fu) * x0;
  total += bytes_of((bits.x >> 4u) & 0x0f0f0f0fu) * x1;
  total += bytes_of(bits.y & 0x0f0f0f0fu) * x2;
  total += bytes_of((bits.y >> 4u) & 0x0f0f0f0fu) * x3;
  total += bytes_of(bits.z & 0x0f0f0f0fu) * x4;
  total += bytes_of((bits.z >> 4u) & 0x0f0f0f0fu) * x5;
  total += bytes_of(bits.w & 0x0f0f0f0fu) * x6;
  total += bytes_of((bits.w >> 4u) & 0x0f0f0f0fu) * x7;
  let scale = w0_scale(row, vector);
  return scale.x * (dot(total, vec4<f32>(1.0)) - scale.y * sum);
}

fn products_w02(start: u32, rows: vec2<u32>, lane: u32, local: u32) -> vec2<f32> {
  var total = vec2<f32>();
  let first = 0u;
  for (var i = local; i < 24u; i += 128u) {
    let vector = i / 8u;
    let four = i % 8u;
    let column = (first + vector) * 32u + 8u * (four / 2u) + four % 2u;
    staged[four * 4u + vector] = vec4<f32>(element(start, column), element(start, column + 2u), element(start, column + 4u), element(start, column + 6u));
  }
  workgroupBarrier();
  for (var vector = lane; vector < 3u; vector += 4u) {
    let x0 = staged[vector];
    let x1 = staged[4u + vector];
    let x2 = staged[8u + vector];
    let x3 = staged[12u + vector];
    let x4 = staged[16u + vector];
    let x5 = staged[20u + vector];
    let x6 = staged[24u + vector];
    let x7 = staged[28u + vector];
    let sum = dot(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7, vec4<f32>(1.0));
    total.x += w0_product(rows.x, first + vector, x0, x1, x2, x3, x4, x5, x6, x7, sum);
    total.y += w0_product(rows.y, first + vector, x0, x1, x2, x3, x4, x5, x6, x7, sum);
  }
  return total;
}

fn gelu_of(x: f32) -> f32 { return 0.5 * x * (1.0 + tanh(0.7978846 * (x + 0.044715 * x * x * x))); }

fn store0(row: u32, column: u32, y0: f32, y1: f32) {
  let value = gelu_of(y0) * y1;
  out0[row * 96u + column] = value;
}

@compute @workgroup_size(128) @diagnostic(off, subgroup_uniformity)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_size) subgroup: u32,
) {
  let workgroup = workgroup_id.y * workgroups.x + workgroup_id.x;
  if (workgroup >= 3u) { return; }
  let row = workgroup_id.z;
  let group = local / 4u;
  let lane = local % 4u;
  var rows: vec2<u32>;
  var total: vec2<f32>;
  let first = (workgroup * 32u + group);
  rows.x = 0u + min(first + 0u, 95u);
  rows.y = 96u + min(first + 0u, 95u);
  total = products_w02(row * 96u, rows, lane, local);
  let together = min(subgroup, 4u);
  for (var mask = 1u; mask < together; mask *= 2u) { total += subgroupShuffleXor(total, mask); }
  sums[local] = total;
  squares[local] = subgroupAdd(square);
  workgroupBarrier();
  if (local < 32u) {
    let group = local;
    let column = (workgroup * 32u + group);
    var y = vec2<f32>();
    for (var at = 0u; at < 4u; at += together) { y += sums[group * 4u + at]; }
    var squared = 0.0;
    for (var at = 0u; at < 128u; at += subgroup) { squared += squares[at]; }
    y *= inverseSqrt(squared / 96.0 + 0.000001f);
    if (column < 96u) { store0(row, column, y.x, y.y); }
  }
}
