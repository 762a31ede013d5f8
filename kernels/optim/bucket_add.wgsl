// Puts a scaled gradient in its place in a flat bucket, or adds it to what is there.
//
//   y[start + k] = scale · x[k]  (+ y[start + k])      0 ≤ k < count
//
// x: the gradient, any shape, contiguous; y [bucket]. Both read as vec4: what lies between count and the next multiple of 4
// belongs to this place and becomes 0, whatever x holds behind its end. @if(more): adds. One invocation: 4 elements.
// Grid: ceil(count / 4 / 64), folded. start4: start / 4, which is whole. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  count: u32,
  start4: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (4u * i >= params.count) {
    return;
  }
  let inside = 4u * i + vec4u(0u, 1u, 2u, 3u) < vec4u(params.count);
  var value = select(vec4f(), params.scale * x[i], inside);
  @if(more) value += y[params.start4 + i];
  y[params.start4 + i] = value;
}
