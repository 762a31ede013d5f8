// The maximum of each window of an image, and on request where it was.
//
//   y[b, oy, ox, c] = max x[b, oy·stride_y − pad_top + ky, ox·stride_x − pad_left + kx, c]   over the pixels inside x
//
// x [n, h, w, c], y [n, out_h, out_w, c], argmax (u32, like y, @if(argmax)): row·w + column of the first maximum in
// row-major order. @if(vectors): channels counts vec4s. One invocation: one pixel's channel (vec4 of channels). Grid:
// ceil(size of y / 64), folded. Every window must hold a pixel of x (padding at most half the kernel). Deterministic.

import package::shared::element::{In, In4};
import package::shared::grid::flat_index;

@if(vectors) alias Lane = In4;
@if(!vectors) alias Lane = In;
@if(vectors) alias Index = vec4u;
@if(!vectors) alias Index = u32;

struct Params {
  count: u32,
  height: u32,
  width: u32,
  channels: u32,
  out_height: u32,
  out_width: u32,
  kernel_y: u32,
  kernel_x: u32,
  stride_y: u32,
  stride_x: u32,
  pad_top: u32,
  pad_left: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read_write> y: array<Lane>;
@if(argmax) @group(0) @binding(3) var<storage, read_write> argmax: array<Index>;

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
  let channel = i % params.channels;
  let pixel = i / params.channels;
  let ox = pixel % params.out_width;
  let oy = (pixel / params.out_width) % params.out_height;
  let batch = pixel / (params.out_width * params.out_height);
  let end_y = oy * params.stride_y + params.kernel_y - params.pad_top;
  let end_x = ox * params.stride_x + params.kernel_x - params.pad_left;
  let bottom = min(end_y, params.height);
  let right = min(end_x, params.width);
  let top = max(oy * params.stride_y, params.pad_top) - params.pad_top;
  let left = max(ox * params.stride_x, params.pad_left) - params.pad_left;
  let image = batch * params.height * params.width;
  var best = x[(image + top * params.width + left) * params.channels + channel];
  var place = Index(top * params.width + left);
  for (var row = top; row < bottom; row++) {
    for (var column = left; column < right; column++) {
      let at = row * params.width + column;
      let value = x[(image + at) * params.channels + channel];
      let larger = value > best;
      best = select(best, value, larger);
      place = select(place, Index(at), larger);
    }
  }
  y[i] = best;
  @if(argmax) {
    argmax[i] = place;
  }
}
