// Gradient of batch norm's input, and of the residual added behind it.
//
//   grad_x = gamma·inverse·(g − (grad_beta + x̂·grad_gamma)·share) = a·g − b·(x − mean) − d
//   grad_residual = g = grad_y, and with @if(activation) times slope where y ≤ 0
//
// coefficients [4, c]: a, b, d and the mean, made by batch_norm_backward_affine. x, y, grad_y, grad_x, grad_residual
// [rows, c]. @if(vectors): channels and count in vec4s. One invocation: one element (vec4 of channels). Grid:
// ceil(rows·c / 64), folded.

import package::shared::grid::flat_index;

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;

struct Params {
  count: u32,
  channels: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read> grad_y: array<Lane>;
@group(0) @binding(3) var<storage, read> coefficients: array<Lane>;
@if(activation) @group(0) @binding(4) var<storage, read> y: array<Lane>;
@group(0) @binding(5) var<storage, read_write> grad_x: array<Lane>;
@if(added) @group(0) @binding(6) var<storage, read_write> grad_residual: array<Lane>;

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
  var gradient = grad_y[i];
  @if(activation) {
    gradient = select(params.slope * gradient, gradient, y[i] > Lane());
  }
  @if(added) {
    grad_residual[i] = gradient;
  }
  let centred = x[i] - coefficients[3u * params.channels + c];
  grad_x[i] = coefficients[c] * gradient - coefficients[params.channels + c] * centred
    - coefficients[2u * params.channels + c];
}
