// Statistics of a batch from those of its chunks, and the running ones moved towards them.
//
//   δ = mean_b − mean_a,  n = n_a + n_b,  mean = mean_a + δ·n_b/n,  m2 = m2_a + m2_b + δ²·n_a·n_b/n
//                                       Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm"
//   inverse = 1 / sqrt(m2/rows + eps)
//   running_mean += momentum·(mean − running_mean),  running_var += momentum·(m2/(rows − 1) − running_var)
//
// partial_mean, partial_m2 [chunks, c]; the others [c]. One invocation: one channel, chunks in order. Grid: ceil(c / 64).
// Needs 2 rows or more. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  rows: u32,
  channels: u32,
  chunk: u32,
  eps: f32,
  momentum: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial_mean: array<f32>;
@group(0) @binding(2) var<storage, read> partial_m2: array<f32>;
@group(0) @binding(3) var<storage, read_write> mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> inverse: array<f32>;
@group(0) @binding(5) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> running_var: array<f32>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.channels) {
    return;
  }
  var centre = partial_mean[i];
  var squares = partial_m2[i];
  var at = i + params.channels;
  for (var first = params.chunk; first < params.rows; first += params.chunk) {
    let count = f32(min(params.chunk, params.rows - first));
    let share = count / (f32(first) + count);
    let delta = partial_mean[at] - centre;
    centre += delta * share;
    squares += partial_m2[at] + delta * delta * f32(first) * share;
    at += params.channels;
  }
  let rows = f32(params.rows);
  mean[i] = centre;
  inverse[i] = 1.0 / sqrt(squares / rows + params.eps);
  running_mean[i] += params.momentum * (centre - running_mean[i]);
  running_var[i] += params.momentum * (squares / (rows - 1.0) - running_var[i]);
}
