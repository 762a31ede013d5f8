// Dense 2-D convolution, gradient of the weights, by registers alone: for every adapter, and for few output channels.
//
//   grad_weight[split, tap, c, o] = Σ x[p·stride − padding + tap·dilation, c] · grad_y[p, o],  p in the split's chunk
//
// x [n, in_h, in_w, cin] with a pitch and an offset, grad_y [n, out_h, out_w, cout], grad_weight [splits, kh, kw, cin, cout];
// all read as vec4 over channels. One invocation: one tap, 4 input channels × COLS output vec4s, over `chunk` pixels.
// Grid: columns fastest, then input channels, taps, splits; 64 a workgroup, folded.
// Sums pixels in order; `column_sums` adds the splits in order: deterministic.

import constants::COLS;
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
  cin4: u32,
  cout4: u32,
  kernel_h: u32,
  kernel_w: u32,
  stride_y: u32,
  stride_x: u32,
  pad_top: u32,
  pad_left: u32,
  dilation_y: u32,
  dilation_x: u32,
  x_pitch4: u32,
  x_offset4: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> grad_y: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> grad_weight: array<vec4f>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let invocation = flat_index(workgroup, workgroups, local, SIZE);
  let column_blocks = params.cout4 / COLS;
  let taps = params.kernel_h * params.kernel_w;
  let column = (invocation % column_blocks) * COLS;
  let c = (invocation / column_blocks) % params.cin4;
  let tap = invocation / column_blocks / params.cin4 % taps;
  let split = invocation / column_blocks / params.cin4 / taps;
  if (split >= params.splits) {
    return;
  }
  let first = split * params.chunk;
  let end = min(first + params.chunk, params.pixels);
  let out_size = vec2u(params.out_w, params.out_h);
  let in_size = vec2u(params.in_w, params.in_h);
  let stride = vec2i(i32(params.stride_x), i32(params.stride_y));
  let tap_offset = vec2u(tap % params.kernel_w, tap / params.kernel_w) * vec2u(params.dilation_x, params.dilation_y);
  let origin = vec2i(tap_offset) - vec2i(vec2u(params.pad_left, params.pad_top));
  var walk = start_walk(first, out_size);
  var sum: array<vec4f, 4 * COLS>;
  for (var p = first; p < end; p++) {
    let pixel = walk_pixel(walk, origin, stride, in_size);
    let v = select(vec4f(), x[u32(max(pixel, 0)) * params.x_pitch4 + params.x_offset4 + c], pixel >= 0);
    for (var q = 0u; q < COLS; q++) {
      let gradient = grad_y[p * params.cout4 + column + q];
      sum[q] += v.x * gradient;
      sum[COLS + q] += v.y * gradient;
      sum[2u * COLS + q] += v.z * gradient;
      sum[3u * COLS + q] += v.w * gradient;
    }
    walk = advance(walk, 1u, out_size);
  }
  let at = ((split * taps + tap) * params.cin4 + c) * 4u;
  for (var k = 0u; k < 4u; k++) {
    for (var q = 0u; q < COLS; q++) {
      grad_weight[(at + k) * params.cout4 + column + q] = sum[k * COLS + q];
    }
  }
}
