// Gradient of softmax over the last axis, from its output.
//
//   grad_x[r, k] = y[r, k]·(grad_y[r, k] − Σ_j grad_y[r, j]·y[r, j])
//
// y, grad_y, grad_x [rows, classes]. One invocation: one row, in order. Grid: ceil(rows / 64), folded. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  rows: u32,
  classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> grad_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> grad_x: array<f32>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.rows) {
    return;
  }
  let first = i * params.classes;
  let end = first + params.classes;
  var total = 0.0;
  for (var at = first; at < end; at++) {
    total += grad_y[at] * y[at];
  }
  for (var at = first; at < end; at++) {
    grad_x[at] = y[at] * (grad_y[at] - total);
  }
}
