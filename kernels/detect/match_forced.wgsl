// Gives each face the anchor that was found best for it: positive, whatever its IoU. Of two faces with one best anchor the
// later takes it, as in the published code.
//
//   label[forced[f]] = 1,  matched[forced[f]] = f,  f = 0, 1, …
//
// forced [n, F], NONE (all bits set) for faces without; labels, matched [n, A], changed in place. One invocation: one
// image, faces in order. Grid: ceil(n / 64). Deterministic.

struct Params {
  images: u32,
  anchors: u32,
  faces: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> forced: array<u32>;
@group(0) @binding(2) var<storage, read_write> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> matched: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.images) {
    return;
  }
  let first = id.x * params.anchors;
  for (var f = 0u; f < params.faces; f++) {
    let anchor = forced[id.x * params.faces + f];
    if (anchor < params.anchors) {
      labels[first + anchor] = 1u;
      matched[first + anchor] = f;
    }
  }
}
