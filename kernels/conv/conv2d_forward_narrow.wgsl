// Dense 2-D convolution, forward, for small subgroups and few output channels: weights are handed round by shuffles.
//
//   y[p, o] = f(scale[o] · Σ x[p·stride − padding + tap·dilation, c] · weight[tap, c, o] + shift[o] + residual[p, o])
//   f(v) = v where v > 0, else slope·v (@if(activation)); scale, shift and residual each behind an @if
//
// x [n, in_h, in_w, cin], weight [kh, kw, cin, cout], scale and shift [cout], residual and y [n, out_h, out_w, cout];
// all read as vec4 over channels; x, residual and y with a pitch and an offset, so that each may be a channel view.
// One workgroup = one subgroup of LANES: LANES · ROWS pixels × all cout / 4 = COLS output vec4s. A lane owns ROWS pixels
// and loads a share of the 4 · COLS weight vec4s of four input channels, which lie together in memory.
// Grid: pixel blocks, folded. Needs the feature `subgroups` with a fixed size of LANES.
// Sums in the order of (ky, kx, c); deterministic.

import constants::{LANES, ROWS, COLS};
import package::shared::conv::{first_tap, input_pixel};
import package::shared::forward::{finish, params, weight, x};
import package::shared::grid::flat_index;

enable subgroups;

const SHARES = (4 * COLS + LANES - 1) / LANES;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let first = flat_index(workgroup, workgroups, 0u, 1u) * LANES * ROWS;
  if (first >= params.pixels) {
    return;
  }
  var origin: array<vec3i, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    origin[r] = first_tap(
      first + r * LANES + lane,
      params.pixels,
      vec2u(params.out_w, params.out_h),
      vec2u(params.stride_x, params.stride_y),
      vec2u(params.pad_left, params.pad_top),
    );
  }
  var sum: array<vec4f, ROWS * COLS>;
  var at_weight = 0u;
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
        var share: array<vec4f, SHARES>;
        for (var s = 0u; s < SHARES; s++) {
          share[s] = vec4f(weight[at_weight + min(s * LANES + lane, 4u * COLS - 1u)]);
        }
        var v: array<vec4f, ROWS>;
        for (var r = 0u; r < ROWS; r++) {
          v[r] = select(vec4f(), vec4f(x[base[r] + c]), inside[r]);
        }
        for (var q = 0u; q < COLS; q++) {
          let w0 = subgroupShuffle(share[q / LANES], q % LANES);
          let w1 = subgroupShuffle(share[(COLS + q) / LANES], (COLS + q) % LANES);
          let w2 = subgroupShuffle(share[(2 * COLS + q) / LANES], (2 * COLS + q) % LANES);
          let w3 = subgroupShuffle(share[(3 * COLS + q) / LANES], (3 * COLS + q) % LANES);
          for (var r = 0u; r < ROWS; r++) {
            sum[r * COLS + q] += v[r].x * w0 + v[r].y * w1 + v[r].z * w2 + v[r].w * w3;
          }
        }
        at_weight += 4u * COLS;
      }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    let pixel = first + r * LANES + lane;
    if (pixel < params.pixels) {
      for (var q = 0u; q < COLS; q++) {
        finish(sum[r * COLS + q], pixel, q);
      }
    }
  }
}
