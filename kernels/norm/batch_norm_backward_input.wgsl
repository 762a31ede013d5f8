// Gradient of batch norm's input, and of the residual added behind it.
//
//   grad_x = gamma·inverse·(g − (grad_beta + x̂·grad_gamma)·share) = a·g − b·(x − mean) − d
//   grad_residual = g = grad_y, and with @if(activation) times slope where y ≤ 0
//
// coefficients [4, c]: a, b, d and the mean, made by batch_norm_backward_affine. @if(computed): y is not read but computed
// again from x and beta, the same way as batch_norm did. beta [c]; x, y, grad_y, grad_x, grad_residual [rows, c]. @if(vectors): channels counts vec4s. One invocation: one channel (vec4 of channels) of ROWS rows. Grid:
// ceil(ceil(rows / ROWS)·c / 64), folded.

import constants::ROWS;
import package::shared::grid::flat_index;
import package::shared::rectifier::{rectify_gradient, rectify_gradient4};

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;

struct Params {
  rows: u32,
  channels: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read> grad_y: array<Lane>;
@group(0) @binding(3) var<storage, read> coefficients: array<Lane>;
@if(activation && !computed) @group(0) @binding(4) var<storage, read> y: array<Lane>;
@if(activation && computed) @group(0) @binding(5) var<storage, read> beta: array<Lane>;
@group(0) @binding(6) var<storage, read_write> grad_x: array<Lane>;
@if(added) @group(0) @binding(7) var<storage, read_write> grad_residual: array<Lane>;

const SIZE = 64u;

// The gradient before the rectifier, `output` having the sign of what came out of it.
@if(activation && vectors)
fn through(gradient: Lane, output: Lane) -> Lane {
  return rectify_gradient4(gradient, output, params.slope);
}

@if(activation && !vectors)
fn through(gradient: Lane, output: Lane) -> Lane {
  return rectify_gradient(gradient, output, params.slope);
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  let first = i / params.channels * ROWS;
  if (first >= params.rows) {
    return;
  }
  let c = i % params.channels;
  let scale = coefficients[c];
  let slant = coefficients[params.channels + c];
  let shift = coefficients[2u * params.channels + c];
  let centre = coefficients[3u * params.channels + c];
  var offset = Lane();
  @if(activation && computed) {
    offset = beta[c];
  }
  let end = min(first + ROWS, params.rows);
  for (var row = first; row < end; row++) {
    let at = row * params.channels + c;
    var gradient = grad_y[at];
    let centred = x[at] - centre;
    @if(activation && !computed) {
      gradient = through(gradient, y[at]);
    }
    @if(activation && computed) {
      gradient = through(gradient, centred * scale + offset);
    }
    @if(added) {
      grad_residual[at] = gradient;
    }
    grad_x[at] = scale * gradient - slant * centred - shift;
  }
}
