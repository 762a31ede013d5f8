// The face of the greatest IoU of each anchor, and what the thresholds make of it.
//
//   matched[a] = argmax_f IoU(anchor a, face f), the lowest index of equal ones;  best = the IoU with it      report §3.5
//   label[a] = 1 where best ≥ positive, else 0 where best < negative, else 2: neither a face nor a negative example
//   Faces whose longer edge is under `ignored` take no anchor; an anchor of edges up to 4·ignored that covers half of one,
//   and is not positive, has label 2.
//
// anchors [A] or [n, A] vec4 (cx, cy, w, h); faces [n, F] vec4 corners, counts [n] of them real; labels, matched [n, A].
// One invocation: one anchor, faces in order. Grid: (ceil(A / 64), n). Deterministic.

import package::shared::boxes::corners;
import package::shared::matching::{is_taught, match_iou};

struct Params {
  anchors: u32,
  faces: u32,
  anchor_stride: u32, // 0: one set of anchors for all images; A: one each
  positive: f32,
  negative: f32,
  ignored: f32, // pixels; 0: all faces are taught
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> anchors: array<vec4f>;
@group(0) @binding(2) var<storage, read> faces: array<vec4f>;
@group(0) @binding(3) var<storage, read> counts: array<u32>;
@group(0) @binding(4) var<storage, read_write> labels: array<u32>;
@group(0) @binding(5) var<storage, read_write> matched: array<u32>;

// Anchors with longer edges look at more than a face that is ignored.
const WIDEST = 4.0;

// Whether at least half of a face lies in an anchor.
fn covers(anchor: vec4f, face: vec4f) -> bool {
  let own = corners(anchor);
  let overlap = max(min(own.zw, face.zw) - max(own.xy, face.xy), vec2f());
  let edges = face.zw - face.xy;
  let shared_area = overlap.x * overlap.y;
  return shared_area > 0.0 && 2.0 * shared_area >= edges.x * edges.y;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.anchors) {
    return;
  }
  let anchor = anchors[id.y * params.anchor_stride + id.x];
  let first = id.y * params.faces;
  let count = min(counts[id.y], params.faces);
  var best = 0.0;
  var face = 0u;
  var crowded = false;
  let small_anchor = max(anchor.z, anchor.w) <= WIDEST * params.ignored;
  for (var f = 0u; f < count; f++) {
    let box = faces[first + f];
    if (!is_taught(box, params.ignored)) {
      crowded = crowded || (small_anchor && covers(anchor, box));
      continue;
    }
    let overlap = match_iou(anchor, box);
    face = select(face, f, overlap > best);
    best = max(best, overlap);
  }
  let at = id.y * params.anchors + id.x;
  let unmatched = select(0u, 2u, crowded || best >= params.negative);
  labels[at] = select(unmatched, 1u, best >= params.positive);
  matched[at] = face;
}
