// Box codes to boxes: y = decode(code, anchor), all as (cx, cy, w, h). Report §3.5.
//
// codes [n, count] vec4, anchors [count] or, with per_image, [n, count] vec4; y [n, count] vec4
// One invocation decodes one box. Grid: ceil(total / 64), folded. The exponent is clamped, so y is finite.

import package::shared::grid::flat_index;
import package::shared::boxes::decode_box;

struct Params {
  total: u32, // n · count
  anchors: u32, // count, or n · count with per-image anchors
  centre_variance: f32,
  size_variance: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> codes: array<vec4f>;
@group(0) @binding(2) var<storage, read> anchors: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.total) {
    return;
  }
  y[i] = decode_box(codes[i], anchors[i % params.anchors], params.centre_variance, params.size_variance);
}
