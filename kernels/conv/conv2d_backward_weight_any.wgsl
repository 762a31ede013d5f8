// 2-D convolution, gradient of the weights, one number at a time: every number of channels and groups.
//
//   grad_weight[split, tap, c, o] = Σ x[p·stride − padding + tap·dilation, group(o)·group_cin + c] · grad_y[p, o],
//   p in the split's chunk, group(o) = o / group_cout
//
// x [n, in_h, in_w, cin] with a pitch and an offset, grad_y [n, out_h, out_w, cout],
// grad_weight [splits, kh, kw, group_cin, cout]. One invocation: one weight over `chunk` pixels.
// Grid: output channels fastest, then input channels, taps, splits; 64 a workgroup, folded.
// Sums pixels in order; `column_sums` adds the splits in order: deterministic.

import package::shared::conv::{WindowWalk, advance, start_walk, walk_pixel};
import package::shared::grid::flat_index;

struct Params {
  pixels: u32,
  chunk: u32,
  splits: u32,
  out_h: u32,
  out_w: u32,
  in_h: u32,
  in_w: u32,
  group_cin: u32,
  group_cout: u32,
  cout: u32,
  kernel_h: u32,
  kernel_w: u32,
  stride_y: u32,
  stride_x: u32,
  pad_top: u32,
  pad_left: u32,
  dilation_y: u32,
  dilation_x: u32,
  x_pitch: u32,
  x_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> grad_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> grad_weight: array<f32>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let invocation = flat_index(workgroup, workgroups, local, SIZE);
  let taps = params.kernel_h * params.kernel_w;
  let column = invocation % params.cout;
  let c = (invocation / params.cout) % params.group_cin;
  let tap = invocation / params.cout / params.group_cin % taps;
  let split = invocation / params.cout / params.group_cin / taps;
  if (split >= params.splits) {
    return;
  }
  let channel = column / params.group_cout * params.group_cin + c;
  let first = split * params.chunk;
  let end = min(first + params.chunk, params.pixels);
  let out_size = vec2u(params.out_w, params.out_h);
  let in_size = vec2u(params.in_w, params.in_h);
  let stride = vec2i(i32(params.stride_x), i32(params.stride_y));
  let tap_offset = vec2u(tap % params.kernel_w, tap / params.kernel_w) * vec2u(params.dilation_x, params.dilation_y);
  let origin = vec2i(tap_offset) - vec2i(vec2u(params.pad_left, params.pad_top));
  var walk = start_walk(first, out_size);
  var sum = 0.0;
  for (var p = first; p < end; p++) {
    let pixel = walk_pixel(walk, origin, stride, in_size);
    if (pixel >= 0) {
      sum += x[u32(pixel) * params.x_pitch + params.x_offset + channel] * grad_y[p * params.cout + column];
    }
    walk = advance(walk, 1u, out_size);
  }
  grad_weight[invocation] = sum;
}
