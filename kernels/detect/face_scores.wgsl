// The face score of each anchor as a sortable key: the bits of softmax(logits)₁ where above the threshold, else 0.
// logits: [count, 2]; keys: [count]. Positive floats order like their bits. NaN is known by its
// bits, because a compiler may take it that no number differs from itself: a logit that is NaN gives 0.
// One invocation: one anchor. Grid: ceil(count / 64), folded. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  count: u32,
  threshold: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> keys: array<u32>;

const SIZE = 64u;
// Larger bits, but for the sign, are no number.
const INFINITE = 0x7f800000u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.count) {
    return;
  }
  let l = logits[i];
  let difference = l.x - l.y;
  let score = 1.0 / (1.0 + exp(min(difference, 80.0)));
  let number = (bitcast<u32>(difference) & 0x7fffffffu) <= INFINITE;
  keys[i] = select(0u, bitcast<u32>(score), number && score > params.threshold);
}
