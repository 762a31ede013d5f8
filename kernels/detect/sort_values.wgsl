// The chosen values of each row in descending order, and where they were; ties by index.
//
// values [n, count]; chosen [n, count], counts [n] as shared/ranking has them; sorted, indices [n, k]. One invocation: one value.
// Grid: (ceil(k / 64), n). Deterministic.

import package::shared::ranking::{chosen, counts, rank_of};

struct Params {
  count: u32,
  k: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> sorted: array<f32>;
@group(0) @binding(5) var<storage, read_write> indices: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= counts[id.y]) {
    return;
  }
  let first = id.y * params.count;
  let own = chosen[first + id.x];
  let at = id.y * params.k + rank_of(own, first, counts[id.y]);
  sorted[at] = values[first + own.y];
  indices[at] = own.y;
}
