// Depthwise 2-D convolution, forward: each channel with its own filter.
//
//   y[p, o] = f(scale[o] · Σ x[p·stride − padding + tap·dilation, o] · weight[tap, 0, o] + shift[o] + residual[p, o])
//   f(v) = v where v > 0, else slope·v (@if(activation)); scale, shift and residual each behind an @if
//
// x [n, in_h, in_w, cin], weight [kh, kw, 1, cout], scale and shift [cout], residual and y [n, out_h, out_w, cout];
// all read as vec4 over channels; x, residual and y with a pitch and an offset, so that each may be a channel view.
// Here cin = cout. Tap (ky, kx) is number first_tap + ky·tap_y + kx·tap_x of the weights: all in order, or, for the gradient of
// an input, some of them backwards. @if(placed): y is larger, [n, y_h, y_w, cout], and output pixel (i, j) goes to (first_y + i·step_y,
// first_x + j·step_x) of it: a residue of a strided convolution's input gradient.
// One invocation: ROWS pixels side by side × `height` rows of them × one vec4 of channels. Weights are loaded once; the SPAN
// of input that the pixels share in a row of taps is loaded once for all of them, and where rows of output share rows of
// input (DILATION_Y 1), these stay in registers: going down one row loads STRIDE_Y rows of input instead of KERNEL_H.
// Grid: channels fastest, then blocks of pixels, then blocks of rows; 64 a workgroup, folded. Sums in the order of (ky, kx);
// deterministic, and the same for every `height`.

import constants::{ROWS, KERNEL_H, KERNEL_W, STRIDE_Y, STRIDE_X, DILATION_Y, DILATION_X};
import package::shared::element::{In4, Out4};
import package::shared::grid::flat_index;
import package::shared::rectifier::rectify4;

struct Params {
  batch: u32,
  height: u32,
  out_h: u32,
  out_w: u32,
  in_h: u32,
  in_w: u32,
  cout4: u32,
  pad_top: u32,
  pad_left: u32,
  first_tap: i32,
  tap_y: i32,
  tap_x: i32,
  x_pitch4: u32,
  x_offset4: u32,
  residual_pitch4: u32,
  residual_offset4: u32,
  y_pitch4: u32,
  y_offset4: u32,
  y_h: u32,
  y_w: u32,
  first_y: u32,
  first_x: u32,
  step_y: u32,
  step_x: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<In4>;
@group(0) @binding(2) var<storage, read> weight: array<In4>;
@if(scaled) @group(0) @binding(3) var<storage, read> scale: array<vec4f>;
@if(shifted) @group(0) @binding(4) var<storage, read> shift: array<vec4f>;
@if(added) @group(0) @binding(5) var<storage, read> residual: array<In4>;
@group(0) @binding(6) var<storage, read_write> y: array<Out4>;

const SIZE = 64u;
const SPAN = (ROWS - 1) * STRIDE_X + (KERNEL_W - 1) * DILATION_X + 1;
// Rows of input that two rows of output in a column share.
const KEPT = select(0, max(0, KERNEL_H - STRIDE_Y), DILATION_Y == 1);
// Rows of output to go through before the first, to have those rows.
const AHEAD = (KEPT + STRIDE_Y - 1) / STRIDE_Y;

// The epilogue of one output vec4, and its store: `pixel` counts through the output, `place` through the tensor written.
fn finish(sum: vec4f, pixel: u32, place: u32, column: u32) {
  var v = sum;
  @if(scaled) {
    v *= scale[column];
  }
  @if(shifted) {
    v += shift[column];
  }
  @if(added) {
    v += vec4f(residual[pixel * params.residual_pitch4 + params.residual_offset4 + column]);
  }
  @if(activation) {
    v = rectify4(v, params.slope);
  }
  y[place * params.y_pitch4 + params.y_offset4 + column] = Out4(v);
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let invocation = flat_index(workgroup, workgroups, local, SIZE);
  let blocks = (params.out_w + ROWS - 1u) / ROWS;
  let row_blocks = (params.out_h + params.height - 1u) / params.height;
  let column = invocation % params.cout4;
  let block = invocation / params.cout4;
  let left = block % blocks * ROWS;
  let row_block = block / blocks;
  let image = row_block / row_blocks;
  if (image >= params.batch) {
    return;
  }
  let first_row = row_block % row_blocks * params.height;
  let end_row = i32(min(first_row + params.height, params.out_h));
  let first_x = i32(left * STRIDE_X) - i32(params.pad_left);
  var w: array<array<vec4f, KERNEL_W>, KERNEL_H>;
  for (var ky = 0u; ky < KERNEL_H; ky++) {
    for (var kx = 0u; kx < KERNEL_W; kx++) {
      let tap = params.first_tap + i32(ky) * params.tap_y + i32(kx) * params.tap_x;
      w[ky][kx] = vec4f(weight[u32(tap) * params.cout4 + column]);
    }
  }
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
        rows[ky][i] = select(vec4f(), vec4f(x[pixel * params.x_pitch4 + params.x_offset4 + column]), inside);
      }
    }
    top += STRIDE_Y;
    if (row < i32(first_row)) {
      continue;
    }
    // Given outright: in a loop, a declaration alone is not set to 0 again on every driver.
    var sum = array<vec4f, ROWS>();
    for (var ky = 0u; ky < KERNEL_H; ky++) {
      for (var kx = 0u; kx < KERNEL_W; kx++) {
        for (var r = 0u; r < ROWS; r++) {
          sum[r] += rows[ky][r * STRIDE_X + kx * DILATION_X] * w[ky][kx];
        }
      }
    }
    let pixel = (image * params.out_h + u32(row)) * params.out_w + left;
    for (var r = 0u; r < ROWS; r++) {
      if (left + r < params.out_w) {
        var place = pixel + r;
        @if(placed) {
          let y_row = image * params.y_h + params.first_y + u32(row) * params.step_y;
          place = y_row * params.y_w + params.first_x + (left + r) * params.step_x;
        }
        finish(sum[r], pixel + r, place, column);
      }
    }
  }
}
