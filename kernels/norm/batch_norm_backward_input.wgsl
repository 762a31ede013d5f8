// Gradient of batch norm's input.
//
//   grad_x = gamma·inverse·(grad_y − (grad_beta + x̂·grad_gamma)·share),  x̂ = (x − mean)·inverse
//
// share = 1 / rows where the statistics came from the batch, 0 where they were given. x, grad_y, grad_x [rows, c]; the
// others [c]. @if(vectors): channels and count in vec4s. One invocation: one element (vec4 of channels). Grid:
// ceil(rows·c / 64), folded.

import package::shared::grid::flat_index;

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;

struct Params {
  count: u32,
  channels: u32,
  share: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read> grad_y: array<Lane>;
@group(0) @binding(3) var<storage, read> mean: array<Lane>;
@group(0) @binding(4) var<storage, read> inverse: array<Lane>;
@group(0) @binding(5) var<storage, read> gamma: array<Lane>;
@group(0) @binding(6) var<storage, read> grad_gamma: array<Lane>;
@group(0) @binding(7) var<storage, read> grad_beta: array<Lane>;
@group(0) @binding(8) var<storage, read_write> grad_x: array<Lane>;

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
  let c = i % params.channels;
  let normal = (x[i] - mean[c]) * inverse[c];
  grad_x[i] = gamma[c] * inverse[c] * (grad_y[i] - (grad_beta[c] + normal * grad_gamma[c]) * params.share);
}
