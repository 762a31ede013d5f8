// Batch norm with known statistics as one scale and one shift per channel.
//
//   scale = gamma / sqrt(var + eps),  shift = beta − mean·scale          Ioffe & Szegedy 2015
//
// All [c]. One invocation: one channel. Grid: ceil(c / 64).

import package::shared::grid::flat_index;

struct Params {
  channels: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> variance: array<f32>;
@group(0) @binding(5) var<storage, read_write> scale: array<f32>;
@group(0) @binding(6) var<storage, read_write> shift: array<f32>;

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
  let factor = gamma[i] / sqrt(variance[i] + params.eps);
  scale[i] = factor;
  shift[i] = beta[i] - mean[i] * factor;
}
