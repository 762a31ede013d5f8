// How ground-truth boxes and anchors are compared.
import package::shared::boxes::{corners, iou};

// Boxes with an edge under this many pixels match nothing: codes relative to them would not be finite.
const MIN_EDGE = 1e-6;

// Intersection over union of an anchor (cx, cy, w, h) and a face (x1, y1, x2, y2); 0 where either is degenerate.
fn match_iou(anchor: vec4f, face: vec4f) -> f32 {
  let edges = min(anchor.zw, face.zw - face.xy);
  return select(0.0, iou(corners(anchor), face, 0.0), min(edges.x, edges.y) >= MIN_EDGE);
}

// Whether a face (x1, y1, x2, y2) is large enough to be taught: its longer edge is no less than this many pixels.
fn is_taught(face: vec4f, least: f32) -> bool {
  let edges = face.zw - face.xy;
  return max(edges.x, edges.y) >= least;
}
