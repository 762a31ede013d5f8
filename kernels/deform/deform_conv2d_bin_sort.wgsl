// Puts the samples of each cell of `deform_conv2d_bin` in rising order, so that sums over them always run in one order.
//
// starts, ends [cells]: the ranges of list; list: sample numbers, all different. One invocation: one cell, by Shell's sort
// (Shell 1959, gaps shrinking by 5/11: Gonnet & Baeza-Yates 1991), which is an insertion sort for the usual dozen and not
// quadratic where all samples fall into one cell. Grid: ceil(cells / 64), folded. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  cells: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> ends: array<u32>;
@group(0) @binding(3) var<storage, read_write> list: array<u32>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.cells) {
    return;
  }
  let start = starts[i];
  let end = ends[i];
  var gap = end - start;
  while (gap > 1u) {
    gap = max(1u, gap * 5u / 11u);
    for (var k = start + gap; k < end; k++) {
      let sample = list[k];
      var hole = k;
      while (hole >= start + gap) {
        let before = list[hole - gap];
        if (before < sample) {
          break;
        }
        list[hole] = before;
        hole -= gap;
      }
      list[hole] = sample;
    }
  }
}
