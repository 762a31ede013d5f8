// Gradient of the smooth L1 distance to x; with a scale of −1 that to the target.
//
//   grad_x[r, c] = scale·grad_y[r]·w[r]·min(1, max(−1, (x[r, c] − target[r, c]) / β)),  grad_y[r, c] with @if(elements)
//
// x, target, grad_x [rows, width], weights [rows] (@if(weighted), else 1), grad_y [rows] or [rows, width]. One invocation:
// one row, in order. Grid: ceil(rows / 64), folded. Rows of weight 0 are 0 whatever they hold. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  rows: u32,
  width: u32,
  beta: f32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> target_x: array<f32>;
@if(weighted) @group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> grad_y: array<f32>;
@group(0) @binding(5) var<storage, read_write> grad_x: array<f32>;

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
  var factor = params.scale;
  @if(weighted) {
    factor *= weights[i];
  }
  let first = i * params.width;
  let end = first + params.width;
  if (factor == 0.0) {
    for (var at = first; at < end; at++) {
      grad_x[at] = 0.0;
    }
    return;
  }
  @if(!elements) {
    factor *= grad_y[i];
  }
  for (var at = first; at < end; at++) {
    var slope = clamp((x[at] - target_x[at]) / params.beta, -1.0, 1.0);
    @if(elements) {
      slope *= grad_y[at];
    }
    grad_x[at] = factor * slope;
  }
}
