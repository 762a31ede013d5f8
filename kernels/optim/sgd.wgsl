// One step of stochastic gradient descent with momentum and weight decay, for all parameters of a bucket.
//
//   m ← momentum·m + factor·g + decay·decay_s·p
//   p ← p − rate·rate_s·m                             torch.optim.SGD, with dampening 0 and without Nesterov
//
// gradient, moments, values [count] as vec4, in blocks of 64 elements that belong to one parameter s each; parameter_of
// [count / 64]; table: one (rate_s, decay_s, 1 where the parameter has a gradient, unused) per parameter; those without one
// are left alone. factor: a scalar that clips; negative: nothing changes. One invocation: 4 elements.
// Grid: ceil(count / 4 / 64), folded. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  count4: u32,
  momentum: f32,
  decay: f32,
  rate: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> parameter_of: array<u32>;
@group(0) @binding(3) var<storage, read> table: array<vec4f>;
@group(0) @binding(4) var<storage, read> factor: array<f32>;
@group(0) @binding(5) var<storage, read_write> moments: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> values: array<vec4f>;

const SIZE = 64u;
const BLOCK4 = 16u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.count4 || factor[0] < 0.0) {
    return;
  }
  let own = table[parameter_of[i / BLOCK4]];
  if (own.z == 0.0) {
    return;
  }
  let value = values[i];
  let moment = params.momentum * moments[i] + (factor[0] * gradient[i] + params.decay * own.y * value);
  moments[i] = moment;
  values[i] = value - params.rate * own.x * moment;
}
