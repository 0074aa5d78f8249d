// x[batch_size, 96] times the transposed w0[96, 96] q4z.
// out0: of rows w0[0..96]
requires packed_4x8_integer_dot_product;
enable subgroups;

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> out0: array<f32>;

// Four elements of x each, rounded to signed bytes, in the order in which the codes come.
var<workgroup> staged: array<u32, 32>;

// What one of a byte is worth, for every 32 elements of x.
var<workgroup> steps: array<f32, 3>;

// The largest magnitude of four elements each, of this round and of the one before.
var<workgroup> peaks: array<f32, 256>;

var<workgroup> sums: array<vec2<f32>, 128>;

fn element(start: u32, column: u32) -> f32 {
  if (column >= 96u) { return 0.0; }
  return x[start + column];
}

fn w0_scale(row: u32, block: u32) -> vec2<f32> {
  let at = 1152u + row * 3u + block;
  return unpack2x16float(w0[at / 4u][at % 4u]);
}

fn w0_product(
  row: u32,
  vector: u32,
  x0: u32,
  x1: u32,
  x2: u32,
  x3: u32,
  x4: u32,
  x5: u32,
  x6: u32,
  x7: u32,
  sum: i32,
) -> f32 {
  let bits = w0[row * 3u + vector];
  var total = 0;
  total += dot4I8Packed(bits.x & 0x0f0f0f0fu, x0);
  total += dot4I8Packed((bits.x >> 4u) & 0x0f0f0f0fu, x1);
  total += dot4I8Packed(bits.y & 0x0f0f0f0fu, x2);
  total += dot4I8Packed((bits.y >> 4u) & 0x0f0f0f0fu, x3);
  total += dot4I8Packed(bits.z & 0x0f0f0f0fu, x4);
  total += dot4I8Packed((bits.z >> 4u) & 0x0f0f0f0fu, x5);
  total += dot4I8Packed(bits.w & 0x0f0f0f0fu, x6);
  total += dot4I8Packed((bits.w >> 4u) & 0x0f0f0f0fu, x7);
  let scale = w0_scale(row, vector);
  return scale.x * (f32(total) - scale.y * f32(sum));
}

fn products_w02(start: u32, rows: vec2<u32>, lane: u32, local: u32) -> vec2<f32> {
  var total = vec2<f32>();
  let first = 0u;
  for (var begin = 0u; begin < 24u; begin += 128u) {
    let i = begin + local;
    let vector = i / 8u;
    let four = i % 8u;
    var values = vec4<f32>();
    if (i < 24u) {
      let column = (first + vector) * 32u + 8u * (four / 2u) + four % 2u;
      values = vec4<f32>(element(start, column), element(start, column + 2u), element(start, column + 4u), element(start, column + 6u));
    }
    let sizes = abs(values);
    let turn = begin / 128u % 2u * 128u;
    peaks[turn + local] = max(max(sizes.x, sizes.y), max(sizes.z, sizes.w));
    workgroupBarrier();
    var peak = 0.0;
    for (var k = 0u; k < 8u; k++) { peak = max(peak, peaks[turn + local / 8u * 8u + k]); }
    if (i < 24u) {
      // less than any number that matters, whose inverse may be infinite
      let inverse = select(0.0, 127.0 / peak, peak > 1e-30);
      staged[four * 4u + vector] = pack4xI8(vec4<i32>(round(values * inverse)));
      if (i % 8u == 0u) { steps[i / 8u] = peak / 127.0; }
    }
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
    var sum = 0;
    sum += dot4I8Packed(x0, 0x01010101u);
    sum += dot4I8Packed(x1, 0x01010101u);
    sum += dot4I8Packed(x2, 0x01010101u);
    sum += dot4I8Packed(x3, 0x01010101u);
    sum += dot4I8Packed(x4, 0x01010101u);
    sum += dot4I8Packed(x5, 0x01010101u);
    sum += dot4I8Packed(x6, 0x01010101u);
    sum += dot4I8Packed(x7, 0x01010101u);
    let step = steps[vector];
    total.x += step * w0_product(rows.x, first + vector, x0, x1, x2, x3, x4, x5, x6, x7, sum);
    total.y += step * w0_product(rows.y, first + vector, x0, x1, x2, x3, x4, x5, x6, x7, sum);
  }
  return total;
}

fn store0(row: u32, column: u32, y0: f32) {
  let value = y0;
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
  if (workgroup >= 2u) { return; }
  let row = workgroup_id.z;
  let group = local / 4u;
  let lane = local % 4u;
  var rows: vec2<u32>;
  var total: vec2<f32>;
  let first = 2u * (workgroup * 32u + group);
  rows.x = 0u + min(first + 0u, 95u);
  rows.y = 0u + min(first + 1u, 95u);
  total = products_w02(row * 96u, rows, lane, local);
  let together = min(subgroup, 4u);
  for (var mask = 1u; mask < together; mask *= 2u) { total += subgroupShuffleXor(total, mask); }
  sums[local] = total;
  workgroupBarrier();
  if (local < 64u) {
    let group = local / 2u;
    let column = 2u * (workgroup * 32u + group) + local % 2u;
    var y = vec2<f32>();
    for (var at = 0u; at < 4u; at += together) { y += sums[group * 4u + at]; }
    if (column < 96u) { store0(row, column, y[local % 2u]); }
  }
}
