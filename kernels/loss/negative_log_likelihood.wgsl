// Negative log-likelihood of each row's label under the softmax of its logits.
//
//   y[r] = w[r]·ln Σ_j exp(x[r, j] − x[r, label]) = w[r]·((m − x[r, label]) + ln(1 + s)),  m = max_j x[r, j],
//   s = Σ_j exp(x[r, j] − m) without the term of m itself, so that a loss near 0 keeps its digits
//
// logits [rows, classes], labels [rows], weights [rows] (@if(weighted), else 1), y [rows]. One invocation: one row, in
// order. Grid: ceil(rows / 64), folded. Rows of weight 0, or with a label of classes or more, are 0 whatever their logits.
// Deterministic.

import package::shared::grid::flat_index;
import package::shared::logarithm::log_one_plus;

struct Params {
  rows: u32,
  classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@if(weighted) @group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

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
  var weight = 1.0;
  @if(weighted) {
    weight = weights[i];
  }
  let label = labels[i];
  if (label >= params.classes || weight == 0.0) {
    y[i] = 0.0;
    return;
  }
  let first = i * params.classes;
  let end = first + params.classes;
  var at_largest = first;
  for (var at = first + 1u; at < end; at++) {
    at_largest = select(at_largest, at, logits[at] > logits[at_largest]);
  }
  let largest = logits[at_largest];
  var rest = 0.0;
  for (var at = first; at < end; at++) {
    rest += select(exp(logits[at] - largest), 0.0, at == at_largest);
  }
  y[i] = weight * (largest - logits[first + label] + log_one_plus(rest));
}
