// Copies equally long runs of elements from one tensor into another, each with its own pitch: what concatenation, slices
// and making a channel view contiguous have in common.
//
//   y[row·y_pitch + y_offset + k] = x[row·x_pitch + x_offset + k]      0 ≤ row < rows, 0 ≤ k < width
//
// x, y: f32 in these pitches. @if(vectors): all lengths are counted in vec4, and all are whole ones. One invocation: one
// element (one vec4). Grid: ceil(rows·width / 64), folded. What lies between the runs of y is left alone.

import package::shared::element::{In, In4, Out, Out4};
import package::shared::grid::flat_index;

@if(vectors) alias InLane = In4;
@if(!vectors) alias InLane = In;
@if(vectors) alias OutLane = Out4;
@if(!vectors) alias OutLane = Out;

struct Params {
  rows: u32,
  width: u32,
  x_pitch: u32,
  x_offset: u32,
  y_pitch: u32,
  y_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<InLane>;
@group(0) @binding(2) var<storage, read_write> y: array<OutLane>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.rows * params.width) {
    return;
  }
  let row = i / params.width;
  let k = i % params.width;
  y[row * params.y_pitch + params.y_offset + k] = OutLane(x[row * params.x_pitch + params.x_offset + k]);
}
