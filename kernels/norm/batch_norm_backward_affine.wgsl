// Gradients of batch norm's scale and shift, from the sums of the chunks, added in order.
//
//   grad_gamma = Σ grad_y·x̂,  grad_beta = Σ grad_y
//
// sum, product [chunks, c]; grad_gamma, grad_beta [c]. One invocation: one channel. Grid: ceil(c / 64). Deterministic.

import package::shared::grid::flat_index;

struct Params {
  chunks: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sum: array<f32>;
@group(0) @binding(2) var<storage, read> product: array<f32>;
@group(0) @binding(3) var<storage, read_write> grad_gamma: array<f32>;
@group(0) @binding(4) var<storage, read_write> grad_beta: array<f32>;

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
  var total = 0.0;
  var weighted = 0.0;
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    total += sum[chunk * params.channels + i];
    weighted += product[chunk * params.channels + i];
  }
  grad_gamma[i] = weighted;
  grad_beta[i] = total;
}
