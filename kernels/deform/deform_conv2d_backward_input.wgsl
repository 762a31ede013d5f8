// Gradient of a deformable convolution's input: every pixel gathers the samples that saw it.
//
//   grad_x[y, x, c] += Σ mask[s] · wy·wx · grad_columns[s, c]  over the samples s in the four cells around (y, x)
//   wy = v where the cell lies above, 1 − v below; wx = u to the left, 1 − u to the right; u, v: the sample's parts
//
// starts, ends, list: the cells of `deform_conv2d_bin`, sorted; offset [n, out_h, out_w, groups, taps] of (y, x), mask
// alike (@if(masked)), grad_columns as columns in `deform_conv2d_columns`, grad_x [n, in_h, in_w, c]. `blocks` and `width`
// as there. @if(vectors): channels count vec4s. One invocation: COLS neighbouring channels (COLS at link time; divides
// width) of one pixel of the images from `first_image`. Grid: channels fastest, 64 a workgroup, folded. Sums cells in
// row-major order and samples in rising order: deterministic.

import constants::COLS;
import package::shared::bilinear::part_of;
import package::shared::grid::flat_index;

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;

struct Params {
  count: u32,
  first: u32,
  first_image: u32,
  taps: u32,
  blocks: u32,
  width: u32,
  blocks_per_offset: u32,
  blocks_per_weight: u32,
  in_h: u32,
  in_w: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> offset: array<vec2f>;
@if(masked) @group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read> grad_columns: array<Lane>;
@group(0) @binding(4) var<storage, read> starts: array<u32>;
@group(0) @binding(5) var<storage, read> ends: array<u32>;
@group(0) @binding(6) var<storage, read> list: array<u32>;
@group(0) @binding(7) var<storage, read_write> grad_x: array<Lane>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.count) {
    return;
  }
  let runs = params.blocks * params.width / COLS;
  let channel = i % runs * COLS;
  let pixel = i / runs;
  let column = pixel % params.in_w;
  let row = pixel / params.in_w % params.in_h;
  let image = pixel / params.in_w / params.in_h;
  let block = channel / params.width;
  let groups = params.blocks / params.blocks_per_offset;
  let group = block / params.blocks_per_offset;
  let weight_groups = params.blocks / params.blocks_per_weight;
  let weight_width = params.blocks_per_weight * params.width;
  let within = channel % weight_width;
  let first_sample = params.first * groups * params.taps;
  var sum: array<Lane, COLS>;
  for (var below = 0u; below < 2u; below++) {
    for (var right = 0u; right < 2u; right++) {
      let cell_row = (image * groups + group) * (params.in_h + 1u) + row + below;
      let cell = cell_row * (params.in_w + 1u) + column + right;
      let end = ends[cell];
      for (var k = starts[cell]; k < end; k++) {
        let sample = list[k];
        let part = part_of(offset[first_sample + sample].yx);
        var weight = select(part.y, 1.0 - part.y, below == 1u) * select(part.x, 1.0 - part.x, right == 1u);
        @if(masked) {
          weight *= mask[first_sample + sample];
        }
        let tap = sample % params.taps;
        let out_pixel = sample / params.taps / groups;
        let weight_group = out_pixel * weight_groups + block / params.blocks_per_weight;
        let base = (weight_group * params.taps + tap) * weight_width + within;
        for (var q = 0u; q < COLS; q++) {
          sum[q] += weight * grad_columns[base + q];
        }
      }
    }
  }
  let to = (params.first_image * params.in_h * params.in_w + pixel) * (params.blocks * params.width) + channel;
  for (var q = 0u; q < COLS; q++) {
    grad_x[to + q] += sum[q];
  }
}
