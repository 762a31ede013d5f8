// The anchor of the greatest IoU of each face, where that IoU is enough.
//
//   forced[f] = argmax_a IoU(anchor a, face f), the lowest index of equal ones, where that IoU is > 0 and ≥ minimum
//
// anchors [A] or [n, A] vec4 (cx, cy, w, h); faces [n, F] vec4 corners, counts [n] of them real; forced [n, F], NONE for
// the others. One workgroup: one face; each invocation takes every 256th anchor, then halves. Grid: (F, n). Deterministic.

import package::shared::matching::{is_taught, match_iou};

struct Params {
  anchors: u32,
  faces: u32,
  anchor_stride: u32, // 0: one set of anchors for all images; A: one each
  minimum: f32,
  ignored: f32, // faces whose longer edge is under this take no anchor
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> anchors: array<vec4f>;
@group(0) @binding(2) var<storage, read> faces: array<vec4f>;
@group(0) @binding(3) var<storage, read> counts: array<u32>;
@group(0) @binding(4) var<storage, read_write> forced: array<u32>;

const SIZE = 256u;
const NONE = 0xffffffffu;

var<workgroup> overlaps: array<f32, SIZE>;
var<workgroup> places: array<u32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.y * params.faces + workgroup.x;
  let face = faces[row];
  let first = workgroup.y * params.anchor_stride;
  let end = select(0u, params.anchors, workgroup.x < counts[workgroup.y] && is_taught(face, params.ignored));
  var best = 0.0;
  var place = NONE;
  for (var a = local; a < end; a += SIZE) {
    let overlap = match_iou(anchors[first + a], face);
    place = select(place, a, overlap > best);
    best = max(best, overlap);
  }
  overlaps[local] = best;
  places[local] = place;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    if (local < half) {
      let other = overlaps[local + half];
      let own = overlaps[local];
      if (other > own || (other == own && places[local + half] < places[local])) {
        overlaps[local] = other;
        places[local] = places[local + half];
      }
    }
    workgroupBarrier();
  }
  if (local == 0u) {
    forced[row] = select(NONE, places[0], overlaps[0] >= params.minimum);
  }
}
