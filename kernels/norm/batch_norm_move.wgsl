// Moves running statistics towards those of several batches, one batch after another.
//
//   y₀ = before,  yₖ₊₁ = yₖ + momentum·(batches[k] − yₖ),  running = the last of them
//
// What batch_norm_statistics does at each batch, for all norms of a network at once, where the batches were computed by
// several processes. batches [batches, count], before, running [count]. One invocation: one number. Grid: ceil(count / 64),
// folded. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  count: u32,
  batches: u32,
  momentum: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> batches: array<f32>;
@group(0) @binding(2) var<storage, read> before: array<f32>;
@group(0) @binding(3) var<storage, read_write> running: array<f32>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.count) {
    return;
  }
  var value = before[i];
  for (var k = 0u; k < params.batches; k++) {
    value += params.momentum * (batches[k * params.count + i] - value);
  }
  running[i] = value;
}
