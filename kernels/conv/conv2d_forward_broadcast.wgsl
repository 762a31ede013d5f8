// Dense 2-D convolution, forward, for small subgroups: pixels are handed round by shuffles, no workgroup memory.
//
//   y[p, o] = f(scale[o] · Σ x[p·stride − padding + tap·dilation, c] · weight[tap, c, o] + shift[o] + residual[p, o])
//   f(v) = v where v > 0, else slope·v (@if(activation)); scale, shift and residual each behind an @if
//
// x [n, in_h, in_w, cin], weight [kh, kw, cin, cout], scale and shift [cout], residual and y [n, out_h, out_w, cout];
// all read as vec4 over channels; x, residual and y with a pitch and an offset, so that each may be a channel view.
// One workgroup = one subgroup of LANES: LANES · BLOCKS pixels × LANES output vec4s. A lane loads its own pixels and the
// weights of its own output channels, and multiplies them with the pixels of all lanes.
// Grid: pixel blocks fastest, so that neighbours share weights; then column blocks; then the products of a batch, each
// of `share` pixels with weights of their own (Winograd's 36); folded.
// Needs the feature `subgroups` with a fixed size of LANES. Sums in the order of (ky, kx, c); deterministic.

import constants::{LANES, BLOCKS};
import package::shared::conv::{first_tap, input_pixel};
import package::shared::forward::{finish, params, weight, x};
import package::shared::grid::flat_index;

enable subgroups;

const ROWS = LANES * BLOCKS;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let block = flat_index(workgroup, workgroups, 0u, 1u);
  let blocks = (params.share + ROWS - 1u) / ROWS;
  let column_blocks = (params.cout4 + LANES - 1u) / LANES;
  let product = block / blocks / column_blocks;
  let first = product * params.share + (block % blocks) * ROWS;
  let end = (product + 1u) * params.share;
  let columns = (block / blocks % column_blocks) * LANES;
  if (end > params.pixels) {
    return;
  }
  // Surplus lanes repeat the last column: a shuffle needs all lanes.
  let column = min(columns + lane, params.cout4 - 1u);
  var origin: array<vec3i, BLOCKS>;
  for (var q = 0u; q < BLOCKS; q++) {
    origin[q] = first_tap(
      first + q * LANES + lane,
      end,
      vec2u(params.out_w, params.out_h),
      vec2u(params.stride_x, params.stride_y),
      vec2u(params.pad_left, params.pad_top),
    );
  }
  var sum: array<vec4f, ROWS>;
  var at_weight = product * params.weight_step4 + column;
  for (var ky = 0u; ky < params.kernel_h; ky++) {
    for (var kx = 0u; kx < params.kernel_w; kx++) {
      let tap_y = i32(ky * params.dilation_y);
      let tap_x = i32(kx * params.dilation_x);
      var base: array<u32, BLOCKS>;
      var inside: array<bool, BLOCKS>;
      for (var q = 0u; q < BLOCKS; q++) {
        let pixel = input_pixel(origin[q].x, origin[q].y + tap_y, origin[q].z + tap_x, vec2u(params.in_w, params.in_h));
        inside[q] = pixel >= 0;
        base[q] = u32(max(pixel, 0)) * params.x_pitch4 + params.x_offset4;
      }
      for (var c = 0u; c < params.cin4; c++) {
        let w0 = vec4f(weight[at_weight]);
        let w1 = vec4f(weight[at_weight + params.cout4]);
        let w2 = vec4f(weight[at_weight + 2u * params.cout4]);
        let w3 = vec4f(weight[at_weight + 3u * params.cout4]);
        for (var q = 0u; q < BLOCKS; q++) {
          let own = select(vec4f(), vec4f(x[base[q] + c]), inside[q]);
          for (var i = 0u; i < LANES; i++) {
            let v = subgroupShuffle(own, i);
            sum[q * LANES + i] += v.x * w0 + v.y * w1 + v.z * w2 + v.w * w3;
          }
        }
        at_weight += 4u * params.cout4;
      }
    }
  }
  if (columns + lane < params.cout4) {
    for (var r = 0u; r < ROWS; r++) {
      if (first + r < end) {
        finish(sum[r], first + r, column);
      }
    }
  }
}
