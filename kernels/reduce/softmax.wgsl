// Softmax over the last axis, shifted by its maximum so that no exponential overflows.
//
//   y[r, k] = exp(x[r, k] − m) / Σ_j exp(x[r, j] − m),  m = max_j x[r, j]
//
// x, y [rows, classes]. One invocation: one row, in order. Grid: ceil(rows / 64), folded. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  rows: u32,
  classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

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
  var largest = x[first];
  for (var at = first + 1u; at < end; at++) {
    largest = max(largest, x[at]);
  }
  var total = 0.0;
  for (var at = first; at < end; at++) {
    total += exp(x[at] - largest);
  }
  for (var at = first; at < end; at++) {
    y[at] = exp(x[at] - largest) / total;
  }
}
