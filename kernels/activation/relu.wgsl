// Rectified linear unit, with or without a leak.
//
//   y = x        where x > 0
//   y = slope·x  elsewhere (slope = 0: plain ReLU)              Maas et al. 2013, "Rectifier nonlinearities"
//
// x, y: any shape, contiguous, read as vec4 (the buffer's last vec4 may reach past the tensor: its surplus is not read).
// One invocation: 4 elements. Grid: ceil(count / 4 / 64), folded. No limits beyond the binding size; deterministic.
// −∞ becomes 0 without a leak; NaN passes through.

import package::shared::element::{In4, Out4};
import package::shared::grid::flat_index;
import package::shared::rectifier::rectify4;

struct Params {
  count4: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<In4>;
@group(0) @binding(2) var<storage, read_write> y: array<Out4>;

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
  let v = vec4f(x[i]);
  y[i] = Out4(rectify4(v, params.slope));
}
