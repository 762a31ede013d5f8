// Dense 2-D convolution, gradient of the weights, for small subgroups: input channels are handed round by shuffles.
//
//   grad_weight[split, tap, c, o] = Σ x[p·stride − padding + tap·dilation, c] · grad_y[p, o],  p in the split's chunk
//
// x [n, in_h, in_w, cin] with a pitch and an offset, grad_y [n, out_h, out_w, cout], grad_weight [splits, kh, kw, cin, cout];
// all read as vec4 over channels. One workgroup = one subgroup of LANES: one tap, 4 · ROWS input channels × LANES output
// vec4s, over `chunk` pixels. A lane loads ROWS vec4s of its own pixel's input, and the gradient of its own output
// channels for the pixels of all lanes.
// Grid: column blocks fastest, so that neighbours share input; then row blocks, taps, splits; folded.
// Needs the feature `subgroups` with a fixed size of LANES. Sums pixels in order; `column_sums` adds the splits in order.

import constants::{LANES, ROWS};
import package::shared::conv::{WindowWalk, advance, start_walk, walk_pixel};
import package::shared::grid::flat_index;

enable subgroups;

struct Params {
  pixels: u32,
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

// Pixels whose gradients are held at a time: each sum then takes as many products in a row.
const STEP = 2;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let block = flat_index(workgroup, workgroups, 0u, 1u);
  let column_blocks = (params.cout4 + LANES - 1u) / LANES;
  let row_blocks = (params.cin4 + ROWS - 1u) / ROWS;
  let taps = params.kernel_h * params.kernel_w;
  let columns = (block % column_blocks) * LANES;
  let rows = (block / column_blocks) % row_blocks * ROWS;
  let tap = block / column_blocks / row_blocks % taps;
  let split = block / column_blocks / row_blocks / taps;
  if (split >= params.splits) {
    return;
  }
  // Surplus lanes repeat the last column: a shuffle needs all lanes.
  let column = min(columns + lane, params.cout4 - 1u);
  let first = split * params.chunk;
  let end = min(first + params.chunk, params.pixels);
  let out_size = vec2u(params.out_w, params.out_h);
  let in_size = vec2u(params.in_w, params.in_h);
  let stride = vec2i(i32(params.stride_x), i32(params.stride_y));
  let tap_offset = vec2u(tap % params.kernel_w, tap / params.kernel_w) * vec2u(params.dilation_x, params.dilation_y);
  let origin = vec2i(tap_offset) - vec2i(vec2u(params.pad_left, params.pad_top));
  var walk = start_walk(first + lane, out_size);
  // Stays at the chunk's last pixel for those past it, whose input counts as 0.
  var at_gradient = first * params.cout4 + column;
  var sum: array<vec4f, 4 * ROWS>;
  for (var p = first; p < end; p += LANES) {
    let pixel = walk_pixel(walk, origin, stride, in_size);
    let inside = pixel >= 0 && p + lane < end;
    let base = u32(max(pixel, 0)) * params.x_pitch4 + params.x_offset4;
    var own: array<vec4f, ROWS>;
    for (var k = 0u; k < ROWS; k++) {
      own[k] = select(vec4f(), x[base + min(rows + k, params.cin4 - 1u)], inside);
    }
    for (var step = 0u; step < LANES; step += STEP) {
      var gradient = array<vec4f, STEP>();
      for (var i = 0u; i < STEP; i++) {
        gradient[i] = grad_y[at_gradient];
        at_gradient += select(0u, params.cout4, p + step + i + 1u < end);
      }
      for (var k = 0u; k < ROWS; k++) {
        for (var i = 0u; i < STEP; i++) {
          let v = subgroupShuffle(own[k], step + i);
          sum[4u * k] += v.x * gradient[i];
          sum[4u * k + 1u] += v.y * gradient[i];
          sum[4u * k + 2u] += v.z * gradient[i];
          sum[4u * k + 3u] += v.w * gradient[i];
        }
      }
    }
    walk = advance(walk, LANES, out_size);
  }
  if (columns + lane < params.cout4) {
    let at = ((split * taps + tap) * params.cin4 + rows) * 4u;
    for (var k = 0u; k < 4u * ROWS; k++) {
      if (rows + k / 4u < params.cin4) {
        grad_weight[(at + k) * params.cout4 + column] = sum[k];
      }
    }
  }
}
