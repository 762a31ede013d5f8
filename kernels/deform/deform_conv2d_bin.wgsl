// Sorts the samples of a deformable convolution into the cells between pixels that they fall into: counts them, then
// (@if(fill)) writes their numbers into the ranges of their cells.
//
//   cell of a sample = (floor(y) + 1, floor(x) + 1) of its place, of (in_h + 1)·(in_w + 1); none where all corners are outside
//
// offset [n, out_h, out_w, groups, taps] of (y, x); ends [images, groups, in_h + 1, in_w + 1], of the images from
// `first_image`: the counts, or where the next sample goes; list: sample numbers (pixel, group, tap), counted from output
// pixel `first`. One invocation: one sample. Grid: ceil(samples / 64), folded. Counts are whole numbers and do not depend
// on the order of the atomics; the order within a range does, and `deform_conv2d_bin_sort` removes it.

import package::shared::bilinear::{Place, place_at};
import package::shared::grid::flat_index;

struct Params {
  count: u32,
  first: u32,
  first_image: u32,
  taps: u32,
  groups: u32,
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
@group(0) @binding(1) var<storage, read> offset: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> ends: array<atomic<u32>>;
@if(fill) @group(0) @binding(3) var<storage, read_write> list: array<u32>;

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
  let tap = i % params.taps;
  let group = i / params.taps % params.groups;
  let out_pixel = params.first + i / params.taps / params.groups;
  let out_row = out_pixel / params.out_w;
  let image = out_row / params.out_h - params.first_image;
  let corner = vec2u(out_pixel % params.out_w, out_row % params.out_h) * vec2u(params.stride_x, params.stride_y);
  let step = vec2u(tap % params.kernel_w, tap / params.kernel_w) * vec2u(params.dilation_x, params.dilation_y);
  let regular = vec2i(corner + step) - vec2i(vec2u(params.pad_left, params.pad_top));
  let cell = place_at(regular, offset[params.first * params.groups * params.taps + i].yx).cell + 1;
  let cells = vec2i(vec2u(params.in_w, params.in_h)) + 1;
  if (any(cell < vec2i()) || any(cell >= cells)) {
    return;
  }
  let at = ((image * params.groups + group) * u32(cells.y) + u32(cell.y)) * u32(cells.x) + u32(cell.x);
  let place = atomicAdd(&ends[at], 1u);
  @if(fill) {
    list[place] = i;
  }
}
