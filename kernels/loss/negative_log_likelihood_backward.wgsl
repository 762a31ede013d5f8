// Gradient of the negative log-likelihood to its logits.
//
//   grad_x[r, k] = grad_y[r]·w[r]·(p[r, k] − [k = label]),  p = softmax(x)
//   p[label] − 1 is written −Σ_{j ≠ label} p[j], so that a gradient near 0 keeps its digits
//
// logits, grad_logits [rows, classes], labels, grad_y, weights (@if(weighted), else 1) [rows]. One invocation: one row, in
// order. Grid: ceil(rows / 64), folded. Rows of weight 0, or with a label of classes or more, are 0 whatever their logits.
// Deterministic.

import package::shared::grid::flat_index;

struct Params {
  rows: u32,
  classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@if(weighted) @group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> grad_y: array<f32>;
@group(0) @binding(5) var<storage, read_write> grad_logits: array<f32>;

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
  let first = i * params.classes;
  let end = first + params.classes;
  if (label >= params.classes || weight == 0.0) {
    for (var at = first; at < end; at++) {
      grad_logits[at] = 0.0;
    }
    return;
  }
  let own = first + label;
  var largest = logits[first];
  for (var at = first + 1u; at < end; at++) {
    largest = max(largest, logits[at]);
  }
  var others = 0.0;
  for (var at = first; at < end; at++) {
    others += select(exp(logits[at] - largest), 0.0, at == own);
  }
  let factor = grad_y[i] * weight / (others + exp(logits[own] - largest));
  for (var at = first; at < end; at++) {
    grad_logits[at] = factor * select(exp(logits[at] - largest), -others, at == own);
  }
}
