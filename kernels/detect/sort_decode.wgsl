// Sorts the chosen anchors of each image by descending key, ties by index, and decodes their faces.
//
// chosen [n, A], counts [n] as shared/ranking has them; boxes [n, A, 4], landmarks [n, A, 10], anchors [A, 4] or [n, A, 4] as
// cxcywh; faces [n, k, 15] = score, x1 y1 x2 y2, five points. One invocation: one candidate. Grid: (ceil(k / 64), n).
// Deterministic.

import package::shared::boxes::{corners, decode_box};
import package::shared::ranking::{chosen, counts, rank_of};

struct Params {
  count: u32,
  k: u32,
  centre: f32,
  size: f32,
  has_landmarks: u32,
  anchor_stride: u32, // 0: one set of anchors for all images; A: one each
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> boxes: array<vec4f>;
@group(0) @binding(4) var<storage, read> landmarks: array<vec2f>;
@group(0) @binding(5) var<storage, read> anchors: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> faces: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y;
  let first = row * params.count;
  if (id.x >= counts[row]) {
    return;
  }
  let own = chosen[first + id.x];
  let index = own.y;
  let at = (row * params.k + rank_of(own, first, counts[row])) * 15u;
  let anchor = anchors[row * params.anchor_stride + index];
  let box = corners(decode_box(boxes[first + index], anchor, params.centre, params.size));
  faces[at] = bitcast<f32>(own.x);
  faces[at + 1u] = box.x;
  faces[at + 2u] = box.y;
  faces[at + 3u] = box.z;
  faces[at + 4u] = box.w;
  for (var p = 0u; p < 5u; p++) {
    var point = vec2f();
    if (params.has_landmarks != 0u) {
      point = anchor.xy + landmarks[(first + index) * 5u + p] * params.centre * anchor.zw;
    }
    faces[at + 5u + 2u * p] = point.x;
    faces[at + 6u + 2u * p] = point.y;
  }
}
