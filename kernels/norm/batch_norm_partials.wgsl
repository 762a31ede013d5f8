// Mean and sum of squared deviations of each channel over one chunk of rows.
//
//   mean[chunk, c] = Σ x[r, c] / n,   m2[chunk, c] = Σ (x[r, c] − mean)²     over the n rows of the chunk
//
// x [rows, c], mean, m2 [chunks, c]. @if(vectors): channels counts vec4s. One invocation: one chunk's channel (vec4 of
// channels), read once: GROUP rows at a time, whose own mean and squares, in two passes over registers, join those before
// them as in batch_norm_statistics, so that a mean far from zero costs no digits. Grid: ceil(chunks·c / 64), folded.
// Deterministic.

import package::shared::grid::flat_index;

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;

struct Params {
  rows: u32,
  channels: u32,
  chunk: u32,
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read_write> mean: array<Lane>;
@group(0) @binding(3) var<storage, read_write> m2: array<Lane>;

const SIZE = 64u;
const GROUP = 8;

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
  let channel = i % params.channels;
  let first = i / params.channels * params.chunk;
  let end = min(first + params.chunk, params.rows);
  var centre = Lane();
  var squares = Lane();
  for (var row = first; row < end; row += GROUP) {
    var own = array<Lane, GROUP>();
    var total = Lane();
    for (var r = 0u; r < GROUP; r++) {
      own[r] = x[min(row + r, end - 1u) * params.channels + channel];
      total += select(Lane(), own[r], row + r < end);
    }
    let count = f32(min(u32(GROUP), end - row));
    let group_mean = total / count;
    var group_squares = Lane();
    for (var r = 0u; r < GROUP; r++) {
      let deviation = select(Lane(), own[r] - group_mean, row + r < end);
      group_squares += deviation * deviation;
    }
    let before = f32(row - first);
    let share = count / (before + count);
    let delta = group_mean - centre;
    centre += delta * share;
    squares += group_squares + delta * delta * (before * share);
  }
  mean[i] = centre;
  m2[i] = squares;
}
