// Depthwise 2-D convolution, gradient of the weights: all taps of a vec4 of channels in one pass over the pixels.
//
//   grad_weight[split, tap, c] = Σ x[p·stride − padding + tap·dilation, c] · grad_y[p, c],  p in the split's rows
//
// x [n, in_h, in_w, c] with a pitch and an offset, grad_y [n, out_h, out_w, c], grad_weight [splits, kh, kw, 1, c]; all
// read as vec4 over channels. One invocation: one vec4 of channels over `chunk` rows of output, ROWS pixels at a time, whose
// SPAN of input in a row of taps is loaded once. Grid: channels fastest, then splits; 64 a workgroup, folded.
// Sums rows and blocks of pixels in order; `column_sums` adds the splits in order: deterministic.

import constants::{ROWS, KERNEL_H, KERNEL_W, STRIDE_X, DILATION_X};
import package::shared::grid::flat_index;

struct Params {
  rows: u32,
  chunk: u32,
  splits: u32,
  out_h: u32,
  out_w: u32,
  in_h: u32,
  in_w: u32,
  cout4: u32,
  stride_y: u32,
  pad_top: u32,
  pad_left: u32,
  dilation_y: u32,
  x_pitch4: u32,
  x_offset4: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> grad_y: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> grad_weight: array<vec4f>;

const SIZE = 64u;
const SPAN = (ROWS - 1) * STRIDE_X + (KERNEL_W - 1) * DILATION_X + 1;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let invocation = flat_index(workgroup, workgroups, local, SIZE);
  let column = invocation % params.cout4;
  let split = invocation / params.cout4;
  if (split >= params.splits) {
    return;
  }
  var sum: array<vec4f, KERNEL_H * KERNEL_W>;
  let end = min((split + 1u) * params.chunk, params.rows);
  for (var row = split * params.chunk; row < end; row++) {
    let batch = row / params.out_h;
    let top = i32((row % params.out_h) * params.stride_y) - i32(params.pad_top);
    for (var left = 0u; left < params.out_w; left += ROWS) {
      var gradient: array<vec4f, ROWS>;
      for (var r = 0u; r < ROWS; r++) {
        let at = row * params.out_w + min(left + r, params.out_w - 1u);
        gradient[r] = select(vec4f(), grad_y[at * params.cout4 + column], left + r < params.out_w);
      }
      for (var ky = 0u; ky < KERNEL_H; ky++) {
        let y_in = top + i32(ky * params.dilation_y);
        let row_inside = y_in >= 0 && y_in < i32(params.in_h);
        let base = (i32(batch * params.in_h) + y_in) * i32(params.in_w);
        var span: array<vec4f, SPAN>;
        for (var i = 0u; i < SPAN; i++) {
          let x_in = i32(left * STRIDE_X + i) - i32(params.pad_left);
          let inside = row_inside && x_in >= 0 && x_in < i32(params.in_w);
          let pixel = u32(select(0, base + x_in, inside));
          span[i] = select(vec4f(), x[pixel * params.x_pitch4 + params.x_offset4 + column], inside);
        }
        for (var kx = 0u; kx < KERNEL_W; kx++) {
          for (var r = 0u; r < ROWS; r++) {
            sum[ky * KERNEL_W + kx] += span[r * STRIDE_X + kx * DILATION_X] * gradient[r];
          }
        }
      }
    }
  }
  for (var tap = 0u; tap < KERNEL_H * KERNEL_W; tap++) {
    grad_weight[(split * KERNEL_H * KERNEL_W + tap) * params.cout4 + column] = sum[tap];
  }
}
