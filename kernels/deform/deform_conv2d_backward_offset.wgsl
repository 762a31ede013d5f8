// Gradients of a deformable convolution's offsets and masks, from that of its sampled columns.
//
//   d_k = Σ_c grad_columns[p, tap, c] · x[corner k, c]  over the channels of the offset group; corners outside are 0
//   grad_mask = (1−v)(1−u)·d_0 + (1−v)u·d_1 + v(1−u)·d_2 + vu·d_3                         u, v: the parts along x and y
//   grad_offset_y = mask·((1−u)(d_2 − d_0) + u(d_3 − d_1)),  grad_offset_x = mask·((1−v)(d_1 − d_0) + v(d_3 − d_2))
//
// At a whole position the derivative is the one to the right and below, as in torchvision. Shapes as in
// `deform_conv2d_columns`; grad_offset like offset, grad_mask like mask (@if(masked)). @if(vectors): channels count vec4s.
// `lanes` neighbouring invocations (a power of 2, at most 64): one sample (pixel, group, tap). Grid: lanes fastest, then
// taps, groups, pixels; 64 a workgroup, folded. Each lane sums its channels in order, the first one the lanes in order.

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
@group(0) @binding(4) var<storage, read> grad_columns: array<Lane>;
@group(0) @binding(5) var<storage, read_write> grad_offset: array<vec2f>;
@if(masked) @group(0) @binding(6) var<storage, read_write> grad_mask: array<f32>;

const SIZE = 64u;

var<workgroup> shares: array<vec4f, SIZE>;

// The sum of a lane's components.
fn total(lane: Lane) -> f32 {
  @if(vectors) {
    return lane.x + lane.y + lane.z + lane.w;
  }
  @if(!vectors) {
    return lane;
  }
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  let lane = i % params.lanes;
  let own = i / params.lanes;
  let inside = own < params.count;
  let groups = params.blocks / params.blocks_per_offset;
  let tap = own % params.taps;
  let group = own / params.taps % groups;
  let pixel = own / params.taps / groups;
  let out_pixel = params.first + pixel;
  let sample = params.first * groups * params.taps + own;
  var part = vec2f();
  var dots = vec4f();
  if (inside) {
    let out_row = out_pixel / params.out_w;
    let batch = out_row / params.out_h;
    let corner = vec2u(out_pixel % params.out_w, out_row % params.out_h) * vec2u(params.stride_x, params.stride_y);
    let step = vec2u(tap % params.kernel_w, tap / params.kernel_w) * vec2u(params.dilation_x, params.dilation_y);
    let regular = vec2i(corner + step) - vec2i(vec2u(params.pad_left, params.pad_top));
    let place = place_at(regular, offset[sample].yx);
    part = place.part;
    let corners = corner_pixels(i32(batch), place.cell, vec2u(params.in_w, params.in_h));
    let pixels = vec4u(max(corners, vec4i())) * (params.blocks * params.width);
    var d0 = Lane();
    var d1 = Lane();
    var d2 = Lane();
    var d3 = Lane();
    for (var b = 0u; b < params.blocks_per_offset; b++) {
      let block = group * params.blocks_per_offset + b;
      let row = pixel * params.blocks + block;
      let at = pixels + block * params.width;
      let within = row % params.blocks_per_weight * params.width;
      let column = (row / params.blocks_per_weight * params.taps + tap) * (params.blocks_per_weight * params.width) + within;
      for (var c = lane; c < params.width; c += params.lanes) {
        let gradient = grad_columns[column + c];
        d0 += gradient * select(Lane(), x[at.x + c], corners.x >= 0);
        d1 += gradient * select(Lane(), x[at.y + c], corners.y >= 0);
        d2 += gradient * select(Lane(), x[at.z + c], corners.z >= 0);
        d3 += gradient * select(Lane(), x[at.w + c], corners.w >= 0);
      }
    }
    dots = vec4f(total(d0), total(d1), total(d2), total(d3));
  }
  shares[local] = dots;
  workgroupBarrier();
  if (lane != 0u || !inside) {
    return;
  }
  for (var k = 1u; k < params.lanes; k++) {
    dots += shares[local + k];
  }
  let rest = 1.0 - part;
  var slope = vec2f(
    rest.x * (dots.z - dots.x) + part.x * (dots.w - dots.y),
    rest.y * (dots.y - dots.x) + part.y * (dots.w - dots.z),
  );
  @if(masked) {
    slope *= mask[sample];
    grad_mask[sample] = dot(corner_weights(part), dots);
  }
  grad_offset[sample] = slope;
}
