// Fills a tensor with a scaled scalar: the gradient of a sum or a mean.
//
//   y[i] = scale · x[0]
//
// x [], y any shape, written as vec4. One invocation: 4 elements. Grid: ceil(count / 4 / 64), folded.

import package::shared::grid::flat_index;

struct Params {
  count4: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.count4) {
    return;
  }
  y[i] = vec4f(params.scale * x[0]);
}
