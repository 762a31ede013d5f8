// Sorts the chosen anchors of each image by descending key (rank counting, ties by index) and decodes their faces.
// faces: [n, k, 15] = score, x1 y1 x2 y2, five points. boxes [n, A, 4], landmarks [n, A, 10], anchors [A, 4] or [n, A, 4] cxcywh.
// One invocation: one candidate. Grid: (ceil(k / 64), n). Deterministic.

import package::shared::boxes::{corners, decode_box};

struct Params {
  count: u32,
  k: u32,
  centre: f32,
  size: f32,
  has_landmarks: u32,
  anchor_stride: u32, // 0: one set of anchors for all images; A: one each
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> chosen: array<u32>;
@group(0) @binding(3) var<storage, read> counts: array<u32>;
@group(0) @binding(4) var<storage, read> boxes: array<vec4f>;
@group(0) @binding(5) var<storage, read> landmarks: array<vec2f>;
@group(0) @binding(6) var<storage, read> anchors: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> faces: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y;
  let count = counts[row];
  if (id.x >= count) {
    return;
  }
  let index = chosen[row * params.k + id.x];
  let key = keys[row * params.count + index];
  var rank = 0u;
  for (var j = 0u; j < count; j++) {
    let other = keys[row * params.count + chosen[row * params.k + j]];
    rank += u32(other > key || (other == key && j < id.x));
  }
  let at = (row * params.k + rank) * 15u;
  let anchor = anchors[row * params.anchor_stride + index];
  let box = corners(decode_box(boxes[row * params.count + index], anchor, params.centre, params.size));
  faces[at] = bitcast<f32>(key);
  faces[at + 1u] = box.x;
  faces[at + 2u] = box.y;
  faces[at + 3u] = box.z;
  faces[at + 4u] = box.w;
  for (var p = 0u; p < 5u; p++) {
    var point = vec2f();
    if (params.has_landmarks != 0u) {
      point = anchor.xy + landmarks[(row * params.count + index) * 5u + p] * params.centre * anchor.zw;
    }
    faces[at + 5u + 2u * p] = point.x;
    faces[at + 6u + 2u * p] = point.y;
  }
}
