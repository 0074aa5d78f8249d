// What workgroups mixed of 32 keys each, of 4 heads of 32, joined by their sums of weights: a workgroup a head.

struct Dims { batch_size: u32, capacity: u32, past: u32, seq: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> partial: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> stats: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

fn partial_four(row: u32, four: u32) -> vec4<f32> {
  return partial[row * 8u + four];
}

fn store_four(row: u32, four: u32, value: vec4<f32>) {
  out[row * 8u + four] = value;
}

fn exp_below(x: f32) -> f32 {
  return exp(max(x, -100.0));
}

var<workgroup> parts: array<vec4<f32>, 256>;
var<workgroup> part_stats: array<vec2<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.y * workgroups.x + workgroup.x;
  if (row >= dims.batch_size * 4u) { return; }
  let splits = ((dims.past + dims.seq) + 31u) / 32u;
  let first = row * splits;
  let lane = local / 8u;
  for (var base = 0u; base < 8u; base += 8u) {
    let column = base + local % 8u;
    let is_mine = lane < 32u && column < 8u;
    // Of every 32th split: the most, the sum of weights, and what is mixed.
    var joined = vec2<f32>(-3.4e38, 0.0);
    var mixed = vec4<f32>();
    if (is_mine) {
      for (var i = first + lane; i < first + splits; i += 32u) {
        let most = max(joined.x, stats[i].x);
        let before = exp_below(joined.x - most);
        let factor = exp_below(stats[i].x - most);
        joined = vec2<f32>(most, joined.y * before + stats[i].y * factor);
        mixed = mixed * before + partial_four(i, column) * factor;
      }
    }
    workgroupBarrier();
    parts[local] = mixed;
    part_stats[local] = joined;
    workgroupBarrier();
    if (is_mine && lane == 0u) {
      var most = joined.x;
      for (var i = local; i < 256u; i += 8u) { most = max(most, part_stats[i].x); }
      var weight = 0.0;
      mixed = vec4<f32>();
      for (var i = local; i < 256u; i += 8u) {
        let factor = exp_below(part_stats[i].x - most);
        weight += part_stats[i].y * factor;
        mixed += parts[i] * factor;
      }
      store_four(row, column, mixed / weight);
    }
  }
}
