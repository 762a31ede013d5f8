// Dense 2-D convolution, gradient of the weights, for small subgroups and few input or output channels: gradients are handed
// round.
//
//   grad_weight[split, tap, c, o] = Σ x[p·stride − padding + tap·dilation, c] · grad_y[p, o],  p in the split's rows
//
// x [n, in_h, in_w, cin] with a pitch and an offset, grad_y [n, out_h, out_w, cout], grad_weight [splits, kh, kw, cin, cout];
// all read as vec4 over channels. One workgroup = one subgroup of LANES: LANES neighbours among all taps and input vec4s ×
// COLS output vec4s, by which cout / 4 divides, over `chunk` rows of output, STEP pixels at a time. A lane loads the input of its
// own tap and channels, and a share of the STEP · COLS vec4s of gradient.
// Grid: blocks of taps and channels fastest, then blocks of columns, then splits; folded. Needs the feature `subgroups` with a fixed size of LANES.
// Sums pixels in order; `column_sums` adds the splits in order: deterministic.

import constants::{LANES, COLS};
import package::shared::grid::flat_index;

enable subgroups;

struct Params {
  rows: u32,
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

// Pixels at a time: drivers unroll loops over few instructions alone, and only then do sums stay in registers.
const STEP = 2;
const SHARES = (STEP * COLS + LANES - 1) / LANES;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let block = flat_index(workgroup, workgroups, 0u, 1u);
  let units = params.kernel_h * params.kernel_w * params.cin4;
  let blocks = (units + LANES - 1u) / LANES;
  let columns = block / blocks % (params.cout4 / COLS) * COLS;
  let split = block / blocks / (params.cout4 / COLS);
  if (split >= params.splits) {
    return;
  }
  // Surplus lanes repeat the last: a shuffle needs all lanes.
  let unit = min(block % blocks * LANES + lane, units - 1u);
  let tap = unit / params.cin4;
  let tap_y = i32(tap / params.kernel_w * params.dilation_y) - i32(params.pad_top);
  let tap_x = i32(tap % params.kernel_w * params.dilation_x) - i32(params.pad_left);
  let at_channel = params.x_offset4 + unit % params.cin4;
  let end = min((split + 1u) * params.chunk, params.rows);
  var sum: array<vec4f, 4 * COLS>;
  for (var row = split * params.chunk; row < end; row++) {
    let y_in = i32(row % params.out_h * params.stride_y) + tap_y;
    let row_inside = y_in >= 0 && y_in < i32(params.in_h);
    let base = (i32(row / params.out_h * params.in_h) + y_in) * i32(params.in_w);
    for (var left = 0u; left < params.out_w; left += STEP) {
      var share = array<vec4f, SHARES>();
      for (var s = 0u; s < SHARES; s++) {
        let i = s * LANES + lane;
        let pixel = left + i / COLS;
        let at = (row * params.out_w + min(pixel, params.out_w - 1u)) * params.cout4 + columns + i % COLS;
        share[s] = select(vec4f(), grad_y[at], pixel < params.out_w);
      }
      var own = array<vec4f, STEP>();
      for (var i = 0u; i < STEP; i++) {
        // Past the end of the row the gradient is 0, but the input must still be read within the image.
        let x_in = i32(min(left + i, params.out_w - 1u) * params.stride_x) + tap_x;
        let inside = row_inside && x_in >= 0 && x_in < i32(params.in_w);
        own[i] = select(vec4f(), x[u32(select(0, base + x_in, inside)) * params.x_pitch4 + at_channel], inside);
      }
      for (var q = 0u; q < COLS; q++) {
        for (var i = 0u; i < STEP; i++) {
          let gradient = subgroupShuffle(share[(i * COLS + q) / LANES], (i * COLS + q) % LANES);
          sum[4u * q] += own[i].x * gradient;
          sum[4u * q + 1u] += own[i].y * gradient;
          sum[4u * q + 2u] += own[i].z * gradient;
          sum[4u * q + 3u] += own[i].w * gradient;
        }
      }
    }
  }
  if (block % blocks * LANES + lane < units) {
    let at = (split * units + unit) * 4u * params.cout4 + columns;
    for (var q = 0u; q < COLS; q++) {
      for (var k = 0u; k < 4u; k++) {
        grad_weight[at + k * params.cout4 + q] = sum[4u * q + k];
      }
    }
  }
}
