// Depthwise 2-D convolution, forward: each channel with its own filter.
//
//   y[p, o] = f(scale[o] · Σ x[p·stride − padding + tap·dilation, o] · weight[tap, 0, o] + shift[o] + residual[p, o])
//   f(v) = v where v > 0, else slope·v (@if(activation)); scale, shift and residual each behind an @if
//
// x [n, in_h, in_w, cin], weight [kh, kw, 1, cout], scale and shift [cout], residual and y [n, out_h, out_w, cout];
// all read as vec4 over channels; x, residual and y with a pitch and an offset, so that each may be a channel view.
// Here cin = cout. One invocation: ROWS pixels side by side × one vec4 of channels; the SPAN of input that they share in
// a row of taps is loaded once. Grid: channels fastest, 64 a workgroup, folded. Sums in the order of (ky, kx);
// deterministic.

import constants::{ROWS, KERNEL_W, STRIDE_X, DILATION_X};
import package::shared::conv::first_tap;
import package::shared::grid::flat_index;
import package::shared::rectifier::rectify4;

struct Params {
  pixels: u32,
  out_h: u32,
  out_w: u32,
  in_h: u32,
  in_w: u32,
  cout4: u32,
  kernel_h: u32,
  stride_y: u32,
  pad_top: u32,
  pad_left: u32,
  dilation_y: u32,
  x_pitch4: u32,
  x_offset4: u32,
  residual_pitch4: u32,
  residual_offset4: u32,
  y_pitch4: u32,
  y_offset4: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@if(scaled) @group(0) @binding(3) var<storage, read> scale: array<vec4f>;
@if(shifted) @group(0) @binding(4) var<storage, read> shift: array<vec4f>;
@if(added) @group(0) @binding(5) var<storage, read> residual: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>;

const SIZE = 64u;
const SPAN = (ROWS - 1) * STRIDE_X + (KERNEL_W - 1) * DILATION_X + 1;

// The epilogue of one output vec4, and its store.
fn finish(sum: vec4f, pixel: u32, column: u32) {
  var v = sum;
  @if(scaled) {
    v *= scale[column];
  }
  @if(shifted) {
    v += shift[column];
  }
  @if(added) {
    v += residual[pixel * params.residual_pitch4 + params.residual_offset4 + column];
  }
  @if(activation) {
    v = rectify4(v, params.slope);
  }
  y[pixel * params.y_pitch4 + params.y_offset4 + column] = v;
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let invocation = flat_index(workgroup, workgroups, local, SIZE);
  let column = invocation % params.cout4;
  let block = invocation / params.cout4;
  let blocks = (params.out_w + ROWS - 1u) / ROWS;
  let row = block / blocks;
  let left = (block % blocks) * ROWS;
  let first = row * params.out_w + left;
  if (first >= params.pixels) {
    return;
  }
  let origin = first_tap(
    first,
    params.pixels,
    vec2u(params.out_w, params.out_h),
    vec2u(STRIDE_X, params.stride_y),
    vec2u(params.pad_left, params.pad_top),
  );
  var sum: array<vec4f, ROWS>;
  var at_weight = column;
  for (var ky = 0u; ky < params.kernel_h; ky++) {
    let y_in = origin.y + i32(ky * params.dilation_y);
    let row_inside = y_in >= 0 && y_in < i32(params.in_h);
    let base = (origin.x * i32(params.in_h) + y_in) * i32(params.in_w);
    var span: array<vec4f, SPAN>;
    for (var i = 0u; i < SPAN; i++) {
      let x_in = origin.z + i32(i);
      let inside = row_inside && x_in >= 0 && x_in < i32(params.in_w);
      let pixel = u32(select(0, base + x_in, inside));
      span[i] = select(vec4f(), x[pixel * params.x_pitch4 + params.x_offset4 + column], inside);
    }
    for (var kx = 0u; kx < KERNEL_W; kx++) {
      let w = weight[at_weight];
      for (var r = 0u; r < ROWS; r++) {
        sum[r] += span[r * STRIDE_X + kx * DILATION_X] * w;
      }
      at_weight += params.cout4;
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    if (left + r < params.out_w) {
      finish(sum[r], first + r, column);
    }
  }
}
