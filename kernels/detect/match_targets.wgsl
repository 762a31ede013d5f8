// What the positive anchors have to predict: the codes of their faces' boxes and points.
//
//   t_xy = (c − c_a) / (wh_a·v_c),  t_wh = ln(wh / wh_a) / v_s,  points: (l − c_a) / (wh_a·v_c)      report §3.5
//   with the variances v_c and v_s as in SSD (Liu et al. 2016)
//
// anchors [A] or [n, A] vec4 (cx, cy, w, h); faces [n, F] vec4 corners; points [n, F, 5] vec2; labels, matched [n, A];
// boxes [n, A] vec4; landmarks [n, A, 5] vec2 (@if(landmarks), with points). One invocation: one anchor.
// Grid: (ceil(A / 64), n). Zeros for anchors that are not positive. Positive ones overlap their face: no edge is 0.

struct Params {
  anchors: u32,
  faces: u32,
  anchor_stride: u32, // 0: one set of anchors for all images; A: one each
  centre_variance: f32,
  size_variance: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> anchors: array<vec4f>;
@group(0) @binding(2) var<storage, read> faces: array<vec4f>;
@if(landmarks) @group(0) @binding(3) var<storage, read> points: array<vec2f>;
@group(0) @binding(4) var<storage, read> labels: array<u32>;
@group(0) @binding(5) var<storage, read> matched: array<u32>;
@group(0) @binding(6) var<storage, read_write> box_targets: array<vec4f>;
@if(landmarks) @group(0) @binding(7) var<storage, read_write> landmark_targets: array<vec2f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.anchors) {
    return;
  }
  let at = id.y * params.anchors + id.x;
  if (labels[at] != 1u) {
    box_targets[at] = vec4f();
    @if(landmarks) {
      for (var p = 0u; p < 5u; p++) {
        landmark_targets[at * 5u + p] = vec2f();
      }
    }
    return;
  }
  let anchor = anchors[id.y * params.anchor_stride + id.x];
  let row = id.y * params.faces + matched[at];
  let face = faces[row];
  let unit = params.centre_variance * anchor.zw;
  let centre = (0.5 * (face.xy + face.zw) - anchor.xy) / unit;
  box_targets[at] = vec4f(centre, log((face.zw - face.xy) / anchor.zw) / params.size_variance);
  @if(landmarks) {
    for (var p = 0u; p < 5u; p++) {
      landmark_targets[at * 5u + p] = (points[row * 5u + p] - anchor.xy) / unit;
    }
  }
}
