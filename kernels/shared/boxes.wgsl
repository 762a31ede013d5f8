// Boxes as networks code them and as pictures hold them.

// ln(1000 / 16): the largest growth of a side that a code may ask for, as in torchvision, so that exp stays finite.
const MAX_LOG_SIZE = 4.135166556742356;

// The box (cx, cy, w, h) that `code` makes of `anchor` (cx, cy, w, h). Report §3.5, "Prediction & Ground Truth
// Conversions"; variances as in SSD (Liu et al. 2016).
fn decode_box(code: vec4f, anchor: vec4f, centre_variance: f32, size_variance: f32) -> vec4f {
  let centre = anchor.xy + code.xy * centre_variance * anchor.zw;
  return vec4f(centre, anchor.zw * exp(min(code.zw * size_variance, vec2f(MAX_LOG_SIZE))));
}

// (cx, cy, w, h) → (x1, y1, x2, y2).
fn corners(box: vec4f) -> vec4f {
  return vec4f(box.xy - 0.5 * box.zw, box.xy + 0.5 * box.zw);
}

// Intersection over union of two corner boxes; `extra` is 1 where widths count their last pixel (x2 − x1 + 1), else 0.
// Boxes without area have an IoU of 0 with everything.
fn iou(a: vec4f, b: vec4f, extra: f32) -> f32 {
  let overlap = max(min(a.zw, b.zw) - max(a.xy, b.xy) + extra, vec2f());
  let shared_area = overlap.x * overlap.y;
  let size_a = a.zw - a.xy + extra;
  let size_b = b.zw - b.xy + extra;
  let union_area = size_a.x * size_a.y + size_b.x * size_b.y - shared_area;
  return select(0.0, shared_area / union_area, shared_area > 0.0 && union_area > 0.0);
}
