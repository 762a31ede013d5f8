// Boxes in descending order of their keys, in the rows that suppress reads: nothing, the box, its index.
//
// chosen [1, k], counts [1] as shared/ranking has them; boxes [count, 4] corners; faces [k, 15], of which 1 to 5 are written.
// An index is exact as a float up to 2^24. One invocation: one box. Grid: ceil(k / 64). Deterministic.

import package::shared::ranking::{chosen, counts, rank_of};

struct Params {
  k: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> boxes: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> faces: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let count = min(counts[0], params.k);
  if (id.x >= count) {
    return;
  }
  let own = chosen[id.x];
  let at = rank_of(own, 0u, count) * 15u;
  let box = boxes[own.y];
  faces[at + 1u] = box.x;
  faces[at + 2u] = box.y;
  faces[at + 3u] = box.z;
  faces[at + 4u] = box.w;
  faces[at + 5u] = f32(own.y);
}
