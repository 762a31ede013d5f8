// Gradient before the epilogue of a convolution, from the output of its (leaky) rectifier and the gradient of that.
//
//   grad_x = grad_y · (1 where y > 0, slope elsewhere; 1 everywhere without @if(activation)) · scale[c] (@if(scaled))
//
// y, grad_y, grad_x [rows, c], y with a pitch and an offset; scale [c]. @if(vectors): channels, pitch and offset count
// vec4s. One invocation: one channel (vec4). Grid: channels fastest, 64 a workgroup, folded.

import package::shared::grid::flat_index;
import package::shared::rectifier::{rectify_gradient, rectify_gradient4};

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;

struct Params {
  count: u32,
  channels: u32,
  y_pitch: u32,
  y_offset: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@if(activation) @group(0) @binding(1) var<storage, read> y: array<Lane>;
@group(0) @binding(2) var<storage, read> grad_y: array<Lane>;
@if(scaled) @group(0) @binding(3) var<storage, read> scale: array<Lane>;
@group(0) @binding(4) var<storage, read_write> grad_x: array<Lane>;

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
  var gradient = grad_y[i];
  @if(activation) {
    gradient = through(gradient, y[i / params.channels * params.y_pitch + params.y_offset + c]);
  }
  @if(scaled) {
    gradient *= scale[c];
  }
  grad_x[i] = gradient;
}
