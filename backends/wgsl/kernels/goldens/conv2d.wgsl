// Convolution of x[batch, 3, 28, 28] to 5 channels with windows of 14 × 14 and strides 14, 14: an invocation an element.

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

fn w_four(row: u32, column: u32) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(w[row * 74u + column / 8u][(column / 2u) % 4u]), unpack2x16float(w[row * 74u + column / 8u][(column / 2u) % 4u + 1u]));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 256u + local;
  if (index >= dims.batch_size * 20u) { return; }
  let b = index / 20u;
  let output = (index / 4u) % 5u;
  let row = (index / 2u) % 2u;
  let column = (index) % 2u;
  var sum = bias[output];
  for (var element = 0u; element < 588u; element++) {
    let pixel = x[((b * 3u + element / 196u) * 28u + row * 14u + (element / 14u) % 14u) * 28u + column * 14u + element % 14u];
    sum += pixel * w_four(output, element & ~3u)[element & 3u];
  }
  out[index] = sum;
}
