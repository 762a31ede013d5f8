// Dense 2-D convolution, forward, in registers alone: what runs on every device and what other kernels are checked against.
//
//   y[p, o] = f(scale[o] · Σ x[p·stride − padding + tap·dilation, c] · weight[tap, c, o] + shift[o] + residual[p, o])
//   f(v) = v where v > 0, else slope·v (@if(activation)); scale, shift and residual each behind an @if
//
// x [n, in_h, in_w, cin], weight [kh, kw, cin, cout], scale and shift [cout], residual and y [n, out_h, out_w, cout];
// all read as vec4 over channels; x, residual and y with a pitch and an offset, so that each may be a channel view.
// One invocation: ROWS neighbouring pixels × COLS output vec4s (ROWS and COLS at link time; COLS divides cout / 4).
// Grid: pixel blocks fastest, then column blocks, 64 a workgroup, folded. Sums in the order of (ky, kx, c); deterministic.

import constants::{ROWS, COLS};
import package::shared::conv::{first_tap, input_pixel};
import package::shared::forward::{finish, params, weight, x};
import package::shared::grid::flat_index;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let invocation = flat_index(workgroup, workgroups, local, SIZE);
  let blocks = (params.pixels + ROWS - 1u) / ROWS;
  let first = (invocation % blocks) * ROWS;
  let column = (invocation / blocks) * COLS;
  if (column >= params.cout4) {
    return;
  }
  var origin: array<vec3i, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    origin[r] = first_tap(
      first + r,
      params.pixels,
      vec2u(params.out_w, params.out_h),
      vec2u(params.stride_x, params.stride_y),
      vec2u(params.pad_left, params.pad_top),
    );
  }
  var sum: array<vec4f, ROWS * COLS>;
  var at_weight = column;
  for (var ky = 0u; ky < params.kernel_h; ky++) {
    for (var kx = 0u; kx < params.kernel_w; kx++) {
      let tap_y = i32(ky * params.dilation_y);
      let tap_x = i32(kx * params.dilation_x);
      var base: array<u32, ROWS>;
      var inside: array<bool, ROWS>;
      for (var r = 0u; r < ROWS; r++) {
        let pixel = input_pixel(origin[r].x, origin[r].y + tap_y, origin[r].z + tap_x, vec2u(params.in_w, params.in_h));
        inside[r] = pixel >= 0;
        base[r] = u32(max(pixel, 0)) * params.x_pitch4 + params.x_offset4;
      }
      for (var c = 0u; c < params.cin4; c++) {
        var v: array<vec4f, ROWS>;
        for (var r = 0u; r < ROWS; r++) {
          v[r] = select(vec4f(), vec4f(x[base[r] + c]), inside[r]);
        }
        for (var q = 0u; q < COLS; q++) {
          let w0 = vec4f(weight[at_weight + q]);
          let w1 = vec4f(weight[at_weight + params.cout4 + q]);
          let w2 = vec4f(weight[at_weight + 2u * params.cout4 + q]);
          let w3 = vec4f(weight[at_weight + 3u * params.cout4 + q]);
          for (var r = 0u; r < ROWS; r++) {
            sum[r * COLS + q] += v[r].x * w0 + v[r].y * w1 + v[r].z * w2 + v[r].w * w3;
          }
        }
        at_weight += 4u * params.cout4;
      }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    if (first + r < params.pixels) {
      for (var q = 0u; q < COLS; q++) {
        finish(sum[r * COLS + q], first + r, column + q);
      }
    }
  }
}
