// What the dense forward convolutions take as a matrix product over pixels' windows, and how each of its outputs ends.
//
//   y[p, o] = f(scale[o] · sum[p, o] + shift[o] + residual[p, o])
//   f(v) = v where v > 0, else slope·v (@if(activation)); scale, shift and residual each behind an @if

import package::shared::element::{In4, Out4};
import package::shared::rectifier::rectify4;

struct Params {
  pixels: u32,
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
  residual_pitch4: u32,
  residual_offset4: u32,
  y_pitch4: u32,
  y_offset4: u32,
  // Pixels that share weights: all, or those of one product of a batch of them, each with its own.
  share: u32,
  weight_step4: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<In4>;
@group(0) @binding(2) var<storage, read> weight: array<In4>;
@if(scaled) @group(0) @binding(3) var<storage, read> scale: array<vec4f>;
@if(shifted) @group(0) @binding(4) var<storage, read> shift: array<vec4f>;
@if(added) @group(0) @binding(5) var<storage, read> residual: array<In4>;
@group(0) @binding(6) var<storage, read_write> y: array<Out4>;

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
    v += vec4f(residual[pixel * params.residual_pitch4 + params.residual_offset4 + column]);
  }
  @if(activation) {
    v = rectify4(v, params.slope);
  }
  y[pixel * params.y_pitch4 + params.y_offset4 + column] = Out4(v);
}
