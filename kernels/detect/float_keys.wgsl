// Any floats as sortable integers of at least 1: larger float, larger key. NaN comes last, as key 1.
//
// values [total]; keys [total]. One invocation: one value. Grid: ceil(total / 64), folded.

import package::shared::grid::flat_index;

struct Params {
  total: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// As bits: comparing a NaN as a float may be optimised away.
@group(0) @binding(1) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<storage, read_write> keys: array<u32>;

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
  // −0 and +0 are one value.
  let bits = select(values[i], 0u, values[i] == 0x80000000u);
  let ordered = select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
  keys[i] = select(ordered, 1u, (bits & 0x7fffffffu) > 0x7f800000u);
}
