// Smooth L1 distance: a parabola up to β, a line from there.
//
//   l[r, c] = w[r]·(d²/2β where d < β, else d − β/2),  d = |x[r, c] − target[r, c]|      Girshick 2015, "Fast R-CNN"
//   y[r] = Σ_c l[r, c], or with @if(elements) y[r, c] = l[r, c]
//
// x, target [rows, width], weights [rows] (@if(weighted), else 1), y [rows] or [rows, width]. One invocation: one row, in
// order. Grid: ceil(rows / 64), folded. Rows of weight 0 are 0 whatever they hold. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  rows: u32,
  width: u32,
  beta: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> target_x: array<f32>;
@if(weighted) @group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const SIZE = 64u;

fn distance_of(at: u32) -> f32 {
  let d = abs(x[at] - target_x[at]);
  return select(d - 0.5 * params.beta, 0.5 * d * d / params.beta, d < params.beta);
}

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
  let first = i * params.width;
  let end = first + params.width;
  @if(elements) {
    for (var at = first; at < end; at++) {
      y[at] = 0.0;
      if (weight != 0.0) {
        y[at] = weight * distance_of(at);
      }
    }
  }
  @if(!elements) {
    var total = 0.0;
    if (weight != 0.0) {
      for (var at = first; at < end; at++) {
        total += distance_of(at);
      }
    }
    y[i] = weight * total;
  }
}
