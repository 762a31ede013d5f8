// Samples an image where the taps of a deformable convolution fall: after this it is a matrix product with the weights.
//
//   columns[p, tap, c] = mask[p, g, tap] · bilinear(x[·, ·, c], p·stride − padding + tap·dilation + offset[p, g, tap])
//   g = the offset group of channel c; pixels outside of the image count as 0
//                              Dai et al. 2017, "Deformable Convolutional Networks"; mask: Zhu et al. 2019 (version 2)
//
// x [n, in_h, in_w, c], offset [n, out_h, out_w, groups, taps] of (y, x), mask (@if(masked)) [n, out_h, out_w, groups, taps],
// columns [pixels, weight groups, taps, c / weight groups] for `pixels` output pixels from `first`. A block is a run of
// `width` channels of one offset group and one weight group. @if(vectors): channels count vec4s. One invocation: one
// pixel's tap and block, every lanes-th channel of it. Grid: lanes fastest, then taps, blocks, pixels; 64 a workgroup, folded.

import package::shared::bilinear::{Place, corner_pixels, corner_weights, place_at};
import package::shared::grid::flat_index;

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;

struct Params {
  count: u32,
  first: u32,
  lanes: u32,
  taps: u32,
  blocks: u32,
  width: u32,
  blocks_per_offset: u32,
  blocks_per_weight: u32,
  out_h: u32,
  out_w: u32,
  in_h: u32,
  in_w: u32,
  kernel_w: u32,
  stride_y: u32,
  stride_x: u32,
  pad_top: u32,
  pad_left: u32,
  dilation_y: u32,
  dilation_x: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read> offset: array<vec2f>;
@if(masked) @group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> columns: array<Lane>;

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
  let lane = i % params.lanes;
  let tap = i / params.lanes % params.taps;
  let row = i / params.lanes / params.taps;
  let block = row % params.blocks;
  let pixel = row / params.blocks;
  let out_pixel = params.first + pixel;
  let out_row = out_pixel / params.out_w;
  let batch = out_row / params.out_h;
  let corner = vec2u(out_pixel % params.out_w, out_row % params.out_h) * vec2u(params.stride_x, params.stride_y);
  let step = vec2u(tap % params.kernel_w, tap / params.kernel_w) * vec2u(params.dilation_x, params.dilation_y);
  let regular = vec2i(corner + step) - vec2i(vec2u(params.pad_left, params.pad_top));
  let groups = params.blocks / params.blocks_per_offset;
  let sample = (out_pixel * groups + block / params.blocks_per_offset) * params.taps + tap;
  let place = place_at(regular, offset[sample].yx);
  let corners = corner_pixels(i32(batch), place.cell, vec2u(params.in_w, params.in_h));
  var weights = corner_weights(place.part);
  @if(masked) {
    weights *= mask[sample];
  }
  let base = vec4u(max(corners, vec4i())) * (params.blocks * params.width) + block * params.width;
  let weight_group = row / params.blocks_per_weight;
  let within = row % params.blocks_per_weight * params.width;
  let to = (weight_group * params.taps + tap) * (params.blocks_per_weight * params.width) + within;
  for (var c = lane; c < params.width; c += params.lanes) {
    columns[to + c] =
      weights.x * select(Lane(), x[base.x + c], corners.x >= 0) +
      weights.y * select(Lane(), x[base.y + c], corners.y >= 0) +
      weights.z * select(Lane(), x[base.z + c], corners.z >= 0) +
      weights.w * select(Lane(), x[base.w + c], corners.w >= 0);
  }
}
