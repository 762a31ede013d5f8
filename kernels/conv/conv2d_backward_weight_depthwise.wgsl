// Depthwise 2-D convolution, gradient of the weights: all taps of a vec4 of channels in one pass over the pixels.
//
//   grad_weight[split, tap, c] = Σ x[p·stride − padding + tap·dilation, c] · grad_y[p, c],  p in the split's rectangle
//
// x [n, in_h, in_w, c] with a pitch and an offset, grad_y [n, out_h, out_w, c], grad_weight [splits, kh, kw, 1, c]; all
// read as vec4 over channels. One invocation: one vec4 of channels over a rectangle of `height` × `strips`·ROWS pixels of one
// image. It goes down strip by strip, ROWS pixels at a time, whose SPAN of input in a row of taps is loaded once; where rows
// of output share rows of input (DILATION_Y 1), these stay in registers.
// Grid: channels fastest, then rectangles from left to right, from top to bottom, image by image; 64 a workgroup, folded.
// Sums in a fixed order; `column_sums` adds the splits in order: deterministic.

import constants::{ROWS, KERNEL_H, KERNEL_W, STRIDE_Y, STRIDE_X, DILATION_Y, DILATION_X};
import package::shared::grid::flat_index;

struct Params {
  batch: u32,
  height: u32,
  strips: u32,
  out_h: u32,
  out_w: u32,
  in_h: u32,
  in_w: u32,
  cout4: u32,
  pad_top: u32,
  pad_left: u32,
  x_pitch4: u32,
  x_offset4: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> grad_y: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> grad_weight: array<vec4f>;

const SIZE = 64u;
const SPAN = (ROWS - 1) * STRIDE_X + (KERNEL_W - 1) * DILATION_X + 1;
// Rows of input that two rows of output in a column share.
const KEPT = select(0, max(0, KERNEL_H - STRIDE_Y), DILATION_Y == 1);
// Rows of output to go through before the first, to have those rows.
const AHEAD = (KEPT + STRIDE_Y - 1) / STRIDE_Y;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let invocation = flat_index(workgroup, workgroups, local, SIZE);
  let width = params.strips * ROWS;
  let across = (params.out_w + width - 1u) / width;
  let down = (params.out_h + params.height - 1u) / params.height;
  let column = invocation % params.cout4;
  let split = invocation / params.cout4;
  let image = split / across / down;
  if (image >= params.batch) {
    return;
  }
  let first_row = split / across % down * params.height;
  let end_row = i32(min(first_row + params.height, params.out_h));
  let first_left = split % across * width;
  let end_left = min(first_left + width, params.out_w);
  var sum: array<array<vec4f, KERNEL_W>, KERNEL_H>;
  for (var left = first_left; left < end_left; left += ROWS) {
    let first_x = i32(left * STRIDE_X) - i32(params.pad_left);
    var rows: array<array<vec4f, SPAN>, KERNEL_H>;
    var top = (i32(first_row) - AHEAD) * STRIDE_Y - i32(params.pad_top);
    for (var row = i32(first_row) - AHEAD; row < end_row; row++) {
      for (var ky = 0u; ky < KEPT; ky++) {
        rows[ky] = rows[ky + KERNEL_H - KEPT];
      }
      for (var ky = u32(KEPT); ky < KERNEL_H; ky++) {
        let y_in = top + i32(ky * DILATION_Y);
        let row_inside = y_in >= 0 && y_in < i32(params.in_h);
        let base = (i32(image * params.in_h) + y_in) * i32(params.in_w);
        for (var i = 0u; i < SPAN; i++) {
          let x_in = first_x + i32(i);
          let inside = row_inside && x_in >= 0 && x_in < i32(params.in_w);
          let pixel = u32(select(0, base + x_in, inside));
          rows[ky][i] = select(vec4f(), x[pixel * params.x_pitch4 + params.x_offset4 + column], inside);
        }
      }
      top += STRIDE_Y;
      if (row < i32(first_row)) {
        continue;
      }
      var gradient: array<vec4f, ROWS>;
      let at = (image * params.out_h + u32(row)) * params.out_w;
      for (var r = 0u; r < ROWS; r++) {
        let pixel = at + min(left + r, params.out_w - 1u);
        gradient[r] = select(vec4f(), grad_y[pixel * params.cout4 + column], left + r < params.out_w);
      }
      for (var ky = 0u; ky < KERNEL_H; ky++) {
        for (var kx = 0u; kx < KERNEL_W; kx++) {
          for (var r = 0u; r < ROWS; r++) {
            sum[ky][kx] += rows[ky][r * STRIDE_X + kx * DILATION_X] * gradient[r];
          }
        }
      }
    }
  }
  for (var ky = 0u; ky < KERNEL_H; ky++) {
    for (var kx = 0u; kx < KERNEL_W; kx++) {
      grad_weight[((split * KERNEL_H + ky) * KERNEL_W + kx) * params.cout4 + column] = sum[ky][kx];
    }
  }
}
