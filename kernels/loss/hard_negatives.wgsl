// Online hard example mining: the anchors of each image that its class loss is taken from.
//
//   selected[a] = 1 for positives and for the wanted candidates of greatest loss, ties by lower index; 0 for the others
//                                                                     report §3.5; Shrivastava, Gupta & Girshick 2016
//
// chosen [n, A] pairs (key, index), of which the first counts[n] of each image are there; selected [n, A], changed in place:
// it begins with the positives. One invocation: one of the chosen. Grid: (ceil(A / 256), n). Deterministic.

struct Params {
  anchors: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> chosen: array<vec2u>;
@group(0) @binding(2) var<storage, read> counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> selected: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= counts[id.y]) {
    return;
  }
  let first = id.y * params.anchors;
  selected[first + chosen[first + id.x].y] = 1.0;
}
