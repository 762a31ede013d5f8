// Gradient of a (leaky) rectifier, from its output: for slope ≥ 0 the output is positive exactly where the input is.
//
//   grad_x = grad_y where y > 0, slope·grad_y elsewhere
//
// y, grad_y, grad_x: one shape, contiguous, read as vec4. One invocation: 4 elements. Grid: ceil(count / 4 / 64), folded.

import package::shared::grid::flat_index;
import package::shared::rectifier::rectify_gradient4;

struct Params {
  count4: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4f>;
@group(0) @binding(2) var<storage, read> grad_y: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> grad_x: array<vec4f>;

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
  let gradient = grad_y[i];
  grad_x[i] = rectify_gradient4(gradient, y[i], params.slope);
}
