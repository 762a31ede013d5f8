// The two sums that the gradients of batch norm need, over one chunk of rows, through the rectifier behind it.
//
//   sum[chunk, c] = Σ g,   product[chunk, c] = Σ g·x̂,   x̂ = (x − mean)·inverse
//   g = grad_y, and with @if(activation) times slope where y ≤ 0: for slope ≥ 0 the output tells the sign before
//
// @if(computed): y is not read but computed again from x, gamma and beta, the same way as batch_norm did: where nothing was
// added, and loads cost more than that. x, y, grad_y [rows, c]; mean, inverse, gamma, beta [c]; sum, product [chunks, c].
// @if(vectors): channels counts vec4s. One invocation: one chunk's channel (vec4 of channels). Grid: ceil(chunks·c / 64),
// folded. Deterministic.

import package::shared::grid::flat_index;
import package::shared::rectifier::{rectify_gradient, rectify_gradient4};

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;

struct Params {
  rows: u32,
  channels: u32,
  chunk: u32,
  count: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read> grad_y: array<Lane>;
@group(0) @binding(3) var<storage, read> mean: array<Lane>;
@group(0) @binding(4) var<storage, read> inverse: array<Lane>;
@if(activation && !computed) @group(0) @binding(5) var<storage, read> y: array<Lane>;
@if(activation && computed) @group(0) @binding(6) var<storage, read> gamma: array<Lane>;
@if(activation && computed) @group(0) @binding(7) var<storage, read> beta: array<Lane>;
@group(0) @binding(8) var<storage, read_write> sum: array<Lane>;
@group(0) @binding(9) var<storage, read_write> product: array<Lane>;

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
  if (i >= params.count) {
    return;
  }
  let c = i % params.channels;
  let first = i / params.channels * params.chunk;
  let end = min(first + params.chunk, params.rows);
  let centre = mean[c];
  var scale = Lane();
  var offset = Lane();
  @if(activation && computed) {
    scale = inverse[c] * gamma[c];
    offset = beta[c];
  }
  var total = Lane();
  var weighted = Lane();
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
    total += gradient;
    weighted += gradient * centred;
  }
  sum[i] = total;
  product[i] = weighted * inverse[c];
}
