// Puts a small image into every stride-th pixel of a larger one: the residues of a strided convolution's input gradient.
//
//   y[n, first_y + stride_y·i, first_x + stride_x·j, c] = x[n, i, j, c]
//
// x [n, h, w, c], y [n, y_h, y_w, c]. @if(vectors): channels counts vec4s. One invocation: one channel (vec4) of a pixel
// of x. Grid: channels fastest, 64 a workgroup, folded. Moves numbers only: exact.

import package::shared::grid::flat_index;

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;

struct Params {
  count: u32,
  channels: u32,
  h: u32,
  w: u32,
  y_h: u32,
  y_w: u32,
  first_y: u32,
  first_x: u32,
  stride_y: u32,
  stride_x: u32,
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
  let c = i % params.channels;
  let pixel = i / params.channels;
  let row = pixel / params.w;
  let y_row = row / params.h * params.y_h + params.first_y + row % params.h * params.stride_y;
  let to = y_row * params.y_w + params.first_x + pixel % params.w * params.stride_x;
  y[to * params.channels + c] = x[i];
}
