// Weights divided by their sum: what turns a weighted sum into a weighted mean.
//
//   y[i] = weights[i] / total, 0 where total = 0
//
// weights, y [count], total [1]. One invocation: one weight. Grid: ceil(count / 64), folded. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> total: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.count) {
    return;
  }
  y[i] = 0.0;
  if (total[0] != 0.0) {
    y[i] = weights[i] / total[0];
  }
}
