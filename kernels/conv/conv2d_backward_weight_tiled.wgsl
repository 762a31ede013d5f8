// Dense 2-D convolution, gradient of the weights, for GPUs: tiles of input and gradient in workgroup memory.
//
//   grad_weight[split, tap, c, o] = Σ x[p·stride − padding + tap·dilation, c] · grad_y[p, o],  p in the split's chunk
//
// x [n, in_h, in_w, cin] with a pitch and an offset, grad_y [n, out_h, out_w, cout], grad_weight [splits, kh, kw, cin, cout];
// all read as vec4 over channels. One workgroup of 16 × 16: one tap, 16 · BLOCK input vec4s × 16 · BLOCK output vec4s,
// over `chunk` pixels, 16 / BLOCK at a time; one invocation: BLOCK × BLOCK squares of 4 × 4 weights. BLOCK is 1 or 2.
// Grid: column blocks fastest, then row blocks, taps, splits; folded.
// Sums pixels in order; `column_sums` adds the splits in order: deterministic.

import constants::BLOCK;
import package::shared::conv::{WindowWalk, start_walk, walk_pixel};
import package::shared::grid::flat_index;

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

const SIDE = 16;
const TILE = SIDE * BLOCK;
const STEP = 16 / BLOCK;

var<workgroup> tile_x: array<vec4f, STEP * TILE>;
var<workgroup> tile_gradient: array<vec4f, STEP * TILE>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let block = flat_index(workgroup, workgroups, 0u, 1u);
  let column_blocks = (params.cout4 + TILE - 1u) / TILE;
  let row_blocks = (params.cin4 + TILE - 1u) / TILE;
  let taps = params.kernel_h * params.kernel_w;
  let columns = (block % column_blocks) * TILE;
  let rows = (block / column_blocks) % row_blocks * TILE;
  let tap = block / column_blocks / row_blocks % taps;
  let split = block / column_blocks / row_blocks / taps;
  if (split >= params.splits) {
    return;
  }
  let first = split * params.chunk;
  let end = min(first + params.chunk, params.pixels);
  let out_size = vec2u(params.out_w, params.out_h);
  let in_size = vec2u(params.in_w, params.in_h);
  let stride = vec2i(i32(params.stride_x), i32(params.stride_y));
  let tap_offset = vec2u(tap % params.kernel_w, tap / params.kernel_w) * vec2u(params.dilation_x, params.dilation_y);
  let origin = vec2i(tap_offset) - vec2i(vec2u(params.pad_left, params.pad_top));
  let step = local / TILE;
  let lane = local % TILE;
  let own_row = local / SIDE;
  let own_col = local % SIDE;
  var sum: array<vec4f, 4 * BLOCK * BLOCK>;
  for (var p = first; p < end; p += STEP) {
    let index = p + step;
    var v = vec4f();
    var gradient = vec4f();
    if (index < end) {
      let pixel = walk_pixel(start_walk(index, out_size), origin, stride, in_size);
      if (pixel >= 0 && rows + lane < params.cin4) {
        v = x[u32(pixel) * params.x_pitch4 + params.x_offset4 + rows + lane];
      }
      if (columns + lane < params.cout4) {
        gradient = grad_y[index * params.cout4 + columns + lane];
      }
    }
    tile_x[local] = v;
    tile_gradient[local] = gradient;
    workgroupBarrier();
    for (var k = 0u; k < STEP; k++) {
      for (var r = 0u; r < BLOCK; r++) {
        let own = tile_x[k * TILE + r * SIDE + own_row];
        for (var q = 0u; q < BLOCK; q++) {
          let g = tile_gradient[k * TILE + q * SIDE + own_col];
          let at = 4u * (r * BLOCK + q);
          sum[at] += own.x * g;
          sum[at + 1u] += own.y * g;
          sum[at + 2u] += own.z * g;
          sum[at + 3u] += own.w * g;
        }
      }
    }
    workgroupBarrier();
  }
  for (var r = 0u; r < BLOCK; r++) {
    let c = rows + r * SIDE + own_row;
    for (var q = 0u; q < BLOCK; q++) {
      let column = columns + q * SIDE + own_col;
      if (c < params.cin4 && column < params.cout4) {
        for (var k = 0u; k < 4u; k++) {
          let at = ((split * taps + tap) * params.cin4 + c) * 4u + k;
          grad_weight[at * params.cout4 + column] = sum[4u * (r * BLOCK + q) + k];
        }
      }
    }
  }
}
