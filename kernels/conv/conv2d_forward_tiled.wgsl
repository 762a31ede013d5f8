// Dense 2-D convolution, forward, for GPUs: tiles of input and weights in workgroup memory.
//
//   y[p, o] = f(scale[o] · Σ x[p·stride − padding + tap·dilation, c] · weight[tap, c, o] + shift[o] + residual[p, o])
//   f(v) = v where v > 0, else slope·v (@if(activation)); scale, shift and residual each behind an @if
//
// x [n, in_h, in_w, cin], weight [kh, kw, cin, cout], scale and shift [cout], residual and y [n, out_h, out_w, cout];
// all read as vec4 over channels; x, residual and y with a pitch and an offset, so that each may be a channel view.
// One workgroup of SIDE × SIDE: SIDE · ROWS pixels × SIDE · COLS output vec4s, 16 input channels at a time; one
// invocation: ROWS pixels × COLS vec4s. (SIDE, ROWS, COLS) = (16, 8, 2), (16, 4, 1) or (8, 4, 1): 16, 8 or 4 KiB.
// Grid: column blocks fastest, so that neighbours share input; then pixel blocks; then the products of a batch, each of
// `share` pixels with weights of their own (Winograd's 36); folded. Sums in the order of (ky, kx, c); deterministic.

import constants::{SIDE, ROWS, COLS};
import package::shared::conv::{first_tap, input_pixel};
import package::shared::forward::{finish, params, weight, x};
import package::shared::grid::flat_index;

const SIZE = SIDE * SIDE;
const TILE_ROWS = SIDE * ROWS;
const TILE_COLS = SIDE * COLS;
const X_LOADS = TILE_ROWS * 4 / SIZE;
const WEIGHT_LOADS = 16 * TILE_COLS / SIZE;

var<workgroup> tile_x: array<vec4f, TILE_ROWS * 4>;
var<workgroup> tile_weight: array<vec4f, 16 * TILE_COLS>;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let block = flat_index(workgroup, workgroups, 0u, 1u);
  let column_blocks = (params.cout4 + TILE_COLS - 1u) / TILE_COLS;
  let blocks = (params.share + TILE_ROWS - 1u) / TILE_ROWS;
  let columns = (block % column_blocks) * TILE_COLS;
  let product = block / column_blocks / blocks;
  let first = product * params.share + (block / column_blocks % blocks) * TILE_ROWS;
  let end = (product + 1u) * params.share;
  if (end > params.pixels) {
    return;
  }
  // Four neighbours load the four vec4s of one pixel.
  let quarter = local % 4u;
  var origin: array<vec3i, X_LOADS>;
  for (var j = 0u; j < X_LOADS; j++) {
    origin[j] = first_tap(
      first + (j * SIZE + local) / 4u,
      end,
      vec2u(params.out_w, params.out_h),
      vec2u(params.stride_x, params.stride_y),
      vec2u(params.pad_left, params.pad_top),
    );
  }
  let own_row = local / SIDE;
  let own_col = local % SIDE;
  var sum: array<vec4f, ROWS * COLS>;
  var at_weight = product * params.weight_step4 + columns;
  for (var ky = 0u; ky < params.kernel_h; ky++) {
    for (var kx = 0u; kx < params.kernel_w; kx++) {
      let tap_y = i32(ky * params.dilation_y);
      let tap_x = i32(kx * params.dilation_x);
      var base: array<u32, X_LOADS>;
      var inside: array<bool, X_LOADS>;
      for (var j = 0u; j < X_LOADS; j++) {
        let pixel = input_pixel(origin[j].x, origin[j].y + tap_y, origin[j].z + tap_x, vec2u(params.in_w, params.in_h));
        inside[j] = pixel >= 0;
        base[j] = u32(max(pixel, 0)) * params.x_pitch4 + params.x_offset4;
      }
      for (var c = 0u; c < params.cin4; c += 4u) {
        for (var j = 0u; j < X_LOADS; j++) {
          var v = vec4f();
          if (inside[j] && c + quarter < params.cin4) {
            v = vec4f(x[base[j] + c + quarter]);
          }
          tile_x[quarter * TILE_ROWS + (j * SIZE + local) / 4u] = v;
        }
        for (var j = 0u; j < WEIGHT_LOADS; j++) {
          let row = (j * SIZE + local) / TILE_COLS;
          let col = (j * SIZE + local) % TILE_COLS;
          var w = vec4f();
          if (columns + col < params.cout4 && c * 4u + row < params.cin4 * 4u) {
            w = vec4f(weight[at_weight + (c * 4u + row) * params.cout4 + col]);
          }
          tile_weight[j * SIZE + local] = w;
        }
        workgroupBarrier();
        for (var k4 = 0u; k4 < 4u; k4++) {
          var v: array<vec4f, ROWS>;
          for (var r = 0u; r < ROWS; r++) {
            v[r] = tile_x[k4 * TILE_ROWS + r * SIDE + own_row];
          }
          for (var q = 0u; q < COLS; q++) {
            let at = k4 * 4u * TILE_COLS + q * SIDE + own_col;
            let w0 = tile_weight[at];
            let w1 = tile_weight[at + TILE_COLS];
            let w2 = tile_weight[at + 2u * TILE_COLS];
            let w3 = tile_weight[at + 3u * TILE_COLS];
            for (var r = 0u; r < ROWS; r++) {
              sum[r * COLS + q] += v[r].x * w0 + v[r].y * w1 + v[r].z * w2 + v[r].w * w3;
            }
          }
        }
        workgroupBarrier();
      }
      at_weight += params.cin4 * 4u * params.cout4;
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    let pixel = first + r * SIDE + own_row;
    for (var q = 0u; q < COLS; q++) {
      let column = columns + q * SIDE + own_col;
      if (pixel < end && column < params.cout4) {
        finish(sum[r * COLS + q], pixel, column);
      }
    }
  }
}
