// Statistics of a batch from those of its chunks, and the running ones moved towards them.
//
//   δ = mean_b − mean_a,  n = n_a + n_b,  mean = mean_a + δ·n_b/n,  m2 = m2_a + m2_b + δ²·n_a·n_b/n
//                                       Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm"
//   inverse = 1 / sqrt(m2/rows + eps)
//   running_mean += momentum·(mean − running_mean),  running_var += momentum·(m2/(rows − 1) − running_var)
//
// partial_mean, partial_m2 [chunks, c]; the others [c]. One workgroup: 64 / SHARES channels. SHARES invocations join every
// SHARES-th chunk of a channel in order, then each other by a tree; 1 where few invocations are best. Grid:
// ceil(c·SHARES / 64). Needs 2 rows or more. Deterministic.

import constants::SHARES;
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
const CHANNELS = SIZE / SHARES;

// Number of rows, mean and sum of squared deviations of some of a channel's chunks.
struct Moments {
  count: f32,
  mean: f32,
  m2: f32,
}

var<workgroup> shared_moments: array<Moments, SIZE>;

// Two disjoint sets of rows together; none is the set of count 0.
fn join(a: Moments, b: Moments) -> Moments {
  let count = a.count + b.count;
  let share = b.count / max(count, 1.0);
  let delta = b.mean - a.mean;
  return Moments(count, a.mean + delta * share, a.m2 + b.m2 + delta * delta * (a.count * share));
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local % CHANNELS, CHANNELS);
  let channel = min(i, params.channels - 1u);
  let chunks = (params.rows + params.chunk - 1u) / params.chunk;
  var moments = Moments();
  for (var chunk = local / CHANNELS; chunk < chunks; chunk += SHARES) {
    let at = chunk * params.channels + channel;
    let count = f32(min(params.chunk, params.rows - chunk * params.chunk));
    moments = join(moments, Moments(count, partial_mean[at], partial_m2[at]));
  }
  if (SHARES > 1) {
    shared_moments[local] = moments;
    for (var half = SIZE / 2u; half >= CHANNELS; half /= 2u) {
      workgroupBarrier();
      if (local < half) {
        shared_moments[local] = join(shared_moments[local], shared_moments[local + half]);
      }
    }
    moments = shared_moments[local];
  }
  if (local >= CHANNELS || i >= params.channels) {
    return;
  }
  let centre = moments.mean;
  let squares = moments.m2;
  let rows = f32(params.rows);
  mean[i] = centre;
  inverse[i] = 1.0 / sqrt(squares / rows + params.eps);
  running_mean[i] += params.momentum * (centre - running_mean[i]);
  running_var[i] += params.momentum * (squares / (rows - 1.0) - running_var[i]);
}
