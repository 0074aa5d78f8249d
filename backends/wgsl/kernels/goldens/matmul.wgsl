// a[batch_size, 4, seq, 32] times b[batch_size, 4, 32, past + seq]: a workgroup makes 16 × 16 elements.

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

var<workgroup> a_tile: array<array<f32, 16>, 16>;
var<workgroup> b_tile: array<array<f32, 17>, 16>;

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let lead0 = workgroup.z / 4u;
  let lead1 = (workgroup.z) % 4u;
  let row = workgroup.y * 16u + local.y;
  let column = workgroup.x * 16u + local.x;
  let rows = dims.seq;
  let columns = (dims.past + dims.seq);
  let inner = 32u;
  var sum = 0.0;
  for (var first = 0u; first < inner; first += 16u) {
    var a_value = 0.0;
    if (row < rows && first + local.x < inner) { a_value = a[lead0 * dims.seq * 128u + lead1 * dims.seq * 32u + row * 32u + (first + local.x)]; }
    a_tile[local.y][local.x] = a_value;
    var b_value = 0.0;
    if (column < columns && first + local.y < inner) { b_value = b[lead0 * dims.capacity * 128u + lead1 * dims.capacity * 32u + (first + local.y) * dims.capacity + column]; }
    b_tile[local.y][local.x] = b_value;
    workgroupBarrier();
    for (var i = 0u; i < 16u; i++) { sum += a_tile[local.y][i] * b_tile[i][local.x]; }
    workgroupBarrier();
  }
  if (row < rows && column < columns) { out[lead0 * dims.seq * dims.capacity * 4u + lead1 * dims.seq * dims.capacity + row * dims.capacity + column] = sum; }
}
