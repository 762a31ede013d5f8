// Nearest-neighbour resampling to a given size.
//
//   y[b, oy, ox, c] = x[b, floor(oy·h / out_h), floor(ox·w / out_w), c]
//
// x [n, h, w, c], y [n, out_h, out_w, c]; sides below 65,536. @if(vectors): channels counts vec4s. One invocation: one
// pixel's channel (vec4 of channels). Grid: ceil(size of y / 64), folded. Exact integer arithmetic.

import package::shared::element::{In, In4};
import package::shared::grid::flat_index;

@if(vectors) alias Lane = In4;
@if(!vectors) alias Lane = In;

struct Params {
  count: u32,
  height: u32,
  width: u32,
  channels: u32,
  out_height: u32,
  out_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read_write> y: array<Lane>;

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
  let pixel = i / params.channels;
  let column = (pixel % params.out_width) * params.width / params.out_width;
  let row = ((pixel / params.out_width) % params.out_height) * params.height / params.out_height;
  let batch = pixel / (params.out_width * params.out_height);
  y[i] = x[((batch * params.height + row) * params.width + column) * params.channels + i % params.channels];
}
