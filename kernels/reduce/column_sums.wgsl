// Sums the rows of a matrix in chunks: the gradient of a bias, and the fixed-order sum of split-K partials.
//
//   y[chunk, c] = Σ x[row, c],  row in the chunk's rows
//
// x [rows, columns], y [ceil(rows / chunk), columns]. @if(vectors): columns counts vec4s. One invocation: one column (vec4)
// of one chunk. Grid: columns fastest, 64 a workgroup, folded. Adds rows in order: deterministic; to be run twice for many
// rows, which also keeps the rounding error at that of the root of their number.

import package::shared::grid::flat_index;

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;

struct Params {
  rows: u32,
  columns: u32,
  chunk: u32,
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read_write> y: array<Lane>;

const SIZE = 64u;

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
  let column = i % params.columns;
  let first = i / params.columns * params.chunk;
  let end = min(first + params.chunk, params.rows);
  var sum = Lane();
  for (var row = first; row < end; row++) {
    sum += x[row * params.columns + column];
  }
  y[i] = sum;
}
