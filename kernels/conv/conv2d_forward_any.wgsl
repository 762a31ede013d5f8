// 2-D convolution, forward, for every number of channels and groups, one number at a time.
//
//   y[p, o] = f(scale[o] · Σ x[p·stride − padding + tap·dilation, c] · weight[tap, c, o] + shift[o] + residual[p, o])
//   f(v) = v where v > 0, else slope·v (@if(activation)); scale, shift and residual each behind an @if
//
// x [n, in_h, in_w, cin], weight [kh, kw, cin / groups, cout], scale and shift [cout], residual and y [n, out_h, out_w, cout];
// c runs through the input channels of the group of o; x, residual and y with a pitch and an offset, so
// that each may be a channel view.
// One invocation: one number of y. Grid: channels fastest, 64 a workgroup, folded. Sums in the order of (ky, kx, c);
// deterministic.

import package::shared::conv::{first_tap, input_pixel};
import package::shared::element::{In, Out};
import package::shared::grid::flat_index;
import package::shared::rectifier::rectify;

struct Params {
  pixels: u32,
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
  residual_pitch: u32,
  residual_offset: u32,
  y_pitch: u32,
  y_offset: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<In>;
@group(0) @binding(2) var<storage, read> weight: array<In>;
@if(scaled) @group(0) @binding(3) var<storage, read> scale: array<f32>;
@if(shifted) @group(0) @binding(4) var<storage, read> shift: array<f32>;
@if(added) @group(0) @binding(5) var<storage, read> residual: array<In>;
@group(0) @binding(6) var<storage, read_write> y: array<Out>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let invocation = flat_index(workgroup, workgroups, local, SIZE);
  let channel = invocation % params.cout;
  let pixel = invocation / params.cout;
  if (pixel >= params.pixels) {
    return;
  }
  let first_channel = params.x_offset + (channel / params.group_cout) * params.group_cin;
  let origin = first_tap(
    pixel,
    params.pixels,
    vec2u(params.out_w, params.out_h),
    vec2u(params.stride_x, params.stride_y),
    vec2u(params.pad_left, params.pad_top),
  );
  var v = 0.0;
  var at_weight = channel;
  for (var ky = 0u; ky < params.kernel_h; ky++) {
    for (var kx = 0u; kx < params.kernel_w; kx++) {
      let tap_y = i32(ky * params.dilation_y);
      let tap_x = i32(kx * params.dilation_x);
      let source = input_pixel(origin.x, origin.y + tap_y, origin.z + tap_x, vec2u(params.in_w, params.in_h));
      if (source >= 0) {
        let base = u32(source) * params.x_pitch + first_channel;
        for (var c = 0u; c < params.group_cin; c++) {
          v += f32(x[base + c]) * f32(weight[at_weight + c * params.cout]);
        }
      }
      at_weight += params.group_cin * params.cout;
    }
  }
  @if(scaled) {
    v *= scale[channel];
  }
  @if(shifted) {
    v += shift[channel];
  }
  @if(added) {
    v += f32(residual[pixel * params.residual_pitch + params.residual_offset + channel]);
  }
  @if(activation) {
    v = rectify(v, params.slope);
  }
  y[pixel * params.y_pitch + params.y_offset + channel] = Out(v);
}
