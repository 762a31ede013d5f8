// Intersection over union of every box of one list with every box of another.
//
// a [rows] vec4, b [columns] vec4, corners; y [rows, columns]. One invocation: one pair. Grid: ceil(rows · columns / 64).

import package::shared::grid::flat_index;
import package::shared::boxes::iou;

struct Params {
  rows: u32,
  columns: u32,
  extra: f32, // 1: widths count their last pixel
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.rows * params.columns) {
    return;
  }
  y[i] = iou(a[i / params.columns], b[i % params.columns], params.extra);
}
