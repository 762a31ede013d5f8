// Sum of two tensors of one shape, optionally followed by a (leaky) rectifier.
//
//   y = f(a + b),  f = identity, or ReLU with a leak of `slope` (@if(activation))
//
// a, b, y: any shape, contiguous, read as vec4. One invocation: 4 elements. Grid: ceil(count / 4 / 64), folded.
// Deterministic; NaN passes through.

import package::shared::element::{In4, Out4};
import package::shared::grid::flat_index;
import package::shared::rectifier::rectify4;

struct Params {
  count4: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<In4>;
@group(0) @binding(2) var<storage, read> b: array<In4>;
@group(0) @binding(3) var<storage, read_write> y: array<Out4>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.count4) {
    return;
  }
  var v = vec4f(a[i]) + vec4f(b[i]);
  @if(activation) {
    v = rectify4(v, params.slope);
  }
  y[i] = Out4(v);
}
