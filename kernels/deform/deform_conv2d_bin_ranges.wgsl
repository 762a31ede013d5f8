// Gives each cell of `deform_conv2d_bin` a range of the list as long as its count.
//
//   starts[cell] = ends[cell] = the sum of the counts of the cells served before
//
// ends [cells]: counts on entry, the starts after; starts [cells]; cursor [1], 0 on entry. One invocation: one cell. Grid:
// ceil(cells / 64), folded. Which range a cell gets depends on the order of the atomics; what is read through it does not.

import package::shared::grid::flat_index;

struct Params {
  cells: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> ends: array<u32>;
@group(0) @binding(2) var<storage, read_write> starts: array<u32>;
@group(0) @binding(3) var<storage, read_write> cursor: array<atomic<u32>>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.cells) {
    return;
  }
  let start = atomicAdd(&cursor[0], ends[i]);
  starts[i] = start;
  ends[i] = start;
}
