// The weight of each anchor in the class, the box and the landmark loss, normalisation included.
//
//   class ← class·factors[0],  box = [positive]·factors[1],  landmarks = [positive]·annotated[face]·factors[2]
//
// labels, matched and the three weights [n, A]; the class weights are the selection (1 or 0) on entry; annotated [n, F],
// 1 or 0; factors [3]. One invocation: one anchor. Grid: (ceil(A / 64), n). Deterministic.

struct Params {
  anchors: u32,
  faces: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> matched: array<u32>;
@group(0) @binding(3) var<storage, read> annotated: array<f32>;
@group(0) @binding(4) var<storage, read> factors: array<f32>;
@group(0) @binding(5) var<storage, read_write> class_weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> box_weights: array<f32>;
@if(landmarks) @group(0) @binding(7) var<storage, read_write> landmark_weights: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.anchors) {
    return;
  }
  let at = id.y * params.anchors + id.x;
  let positive = labels[at] == 1u;
  class_weights[at] *= factors[0];
  box_weights[at] = select(0.0, factors[1], positive);
  @if(landmarks) {
    var weight = 0.0;
    if (positive) {
      weight = select(0.0, factors[2], annotated[id.y * params.faces + matched[at]] != 0.0);
    }
    landmark_weights[at] = weight;
  }
}
