// One over the standard deviation, from a running variance.
//
//   inverse = 1 / sqrt(variance + eps)
//
// variance, inverse [c]. One invocation: one channel. Grid: ceil(c / 64).

import package::shared::grid::flat_index;

struct Params {
  channels: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> variance: array<f32>;
@group(0) @binding(2) var<storage, read_write> inverse: array<f32>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.channels) {
    return;
  }
  inverse[i] = 1.0 / sqrt(variance[i] + params.eps);
}
