// x[batch_size, 96], RMS-normalised, times the transposed w0[256, 96] q8.
// out0: of rows w0[0..128], 4 heads of 32, rotated
// out1: of rows w0[128..192], 2 heads of 32, rotated, into the cache
// out2: of rows w0[192..256], 2 heads of 32, into the cache

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> norm: array<f32>;
@group(0) @binding(3) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> positions: array<i32>;
@group(0) @binding(5) var<storage, read> rope: array<f32>;
@group(0) @binding(6) var<storage, read_write> out0: array<f32>;
@group(0) @binding(7) var<storage, read_write> out1: array<f32>;
@group(0) @binding(8) var<storage, read_write> out2: array<f32>;

// Four elements of x each, in the order in which the codes come.
var<workgroup> staged: array<vec4<f32>, 28>;

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
  let at = 6144u + row * 2u + block / 2u;
  return vec2<f32>(unpack2x16float(w0[at / 4u][at % 4u])[block % 2u], 128.0);
}

fn w0_product(
  row: u32,
  vector: u32,
  x0: vec4<f32>,
  x1: vec4<f32>,
  x2: vec4<f32>,
  x3: vec4<f32>,
  sum: f32,
) -> f32 {
  let bits = w0[row * 6u + vector];
  var total = vec4<f32>();
  total += bytes_of(bits.x) * x0;
  total += bytes_of(bits.y) * x1;
  total += bytes_of(bits.z) * x2;
  total += bytes_of(bits.w) * x3;
  let scale = w0_scale(row, vector / 2u);
  return scale.x * (dot(total, vec4<f32>(1.0)) - scale.y * sum);
}

fn products_w02(start: u32, rows: vec2<u32>, lane: u32, local: u32) -> vec2<f32> {
  var total = vec2<f32>();
  let first = 0u;
  for (var i = local; i < 24u; i += 128u) {
    let vector = i / 4u;
    let four = i % 4u;
    let column = (first + vector) * 16u + 4u * four;
    staged[four * 7u + vector] = vec4<f32>(element(start, column), element(start, column + 1u), element(start, column + 2u), element(start, column + 3u));
  }
  workgroupBarrier();
  for (var vector = lane; vector < 6u; vector += 4u) {
    let x0 = staged[vector];
    let x1 = staged[7u + vector];
    let x2 = staged[14u + vector];
    let x3 = staged[21u + vector];
    let sum = dot(x0 + x1 + x2 + x3, vec4<f32>(1.0));
    total.x += w0_product(rows.x, first + vector, x0, x1, x2, x3, sum);
    total.y += w0_product(rows.y, first + vector, x0, x1, x2, x3, sum);
  }
  return total;
}

fn row_of_pair(pair: u32, half: u32) -> u32 {
  return pair + pair / half * half;
}

fn store0(row: u32, column: u32, y0: f32, y1: f32) {
  let head = column / 16u;
  let i = column % 16u;
  let angle = u32(positions[row]) * 32u + i;
  let cosine = rope[angle];
  let sine = rope[angle + 16u];
  let at = (row * 4u + head) * 32u + i;
  out0[at] = (y0 * cosine - y1 * sine) * 0.25f;
  out0[at + 16u] = (y1 * cosine + y0 * sine) * 0.25f;
}

fn store1(row: u32, column: u32, y0: f32, y1: f32) {
  let head = column / 16u;
  let i = column % 16u;
  let angle = u32(positions[row]) * 32u + i;
  let cosine = rope[angle];
  let sine = rope[angle + 16u];
  let at = ((row * 2u + head) * dims.capacity + dims.past) * 32u + i;
  out1[at] = y0 * cosine - y1 * sine;
  out1[at + 16u] = y1 * cosine + y0 * sine;
}

fn store2(row: u32, column: u32, y0: f32) {
  let head = column / 32u;
  let i = column % 32u;
  let at = ((row * 2u + head) * dims.capacity + dims.past) * 32u + i;
  out2[at] = y0;
}

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let workgroup = workgroup_id.y * workgroups.x + workgroup_id.x;
  if (workgroup >= 4u) { return; }
  let row = workgroup_id.z;
  let group = local / 4u;
  let lane = local % 4u;
  var rows: vec2<u32>;
  var total: vec2<f32>;
  if (workgroup < 2u) {
    let first = (workgroup * 32u + group);
    rows.x = 0u + row_of_pair(min(first + 0u, 63u), 16u);
    rows.y = 16u + row_of_pair(min(first + 0u, 63u), 16u);
  } else if (workgroup < 3u) {
    let first = ((workgroup - 2u) * 32u + group);
    rows.x = 128u + row_of_pair(min(first + 0u, 31u), 16u);
    rows.y = 144u + row_of_pair(min(first + 0u, 31u), 16u);
  } else {
    let first = 2u * ((workgroup - 3u) * 32u + group);
    rows.x = 192u + min(first + 0u, 63u);
    rows.y = 192u + min(first + 1u, 63u);
  }
  total = products_w02(row * 96u, rows, lane, local);
  sums[local] = total;
  squares[local] = square;
  workgroupBarrier();
  for (var half = 64u; half > 0u; half /= 2u) {
    if (half < 4u && lane < half) { sums[local] += sums[local + half]; }
    if (local < half) { squares[local] += squares[local + half]; }
    workgroupBarrier();
  }
  if (workgroup < 2u) {
    if (local < 32u) {
      let group = local;
      let column = (workgroup * 32u + group);
      var y = sums[group * 4u];
      y *= inverseSqrt(squares[0] / 96.0 + 0.000001f);
      if (column < 64u) { store0(row, column, y.x, y.y); }
    }
  } else if (workgroup < 3u) {
    if (local < 32u) {
      let group = local;
      let column = ((workgroup - 2u) * 32u + group);
      var y = sums[group * 4u];
      y *= inverseSqrt(squares[0] / 96.0 + 0.000001f);
      if (column < 32u) { store1(row, column, y.x, y.y); }
    }
  } else {
    if (local < 64u) {
      let group = local / 2u;
      let column = 2u * ((workgroup - 3u) * 32u + group) + local % 2u;
      var y = sums[group * 4u];
      y *= inverseSqrt(squares[0] / 96.0 + 0.000001f);
      if (column < 64u) { store2(row, column, y[local % 2u]); }
    }
  }
}
