// Normalises every channel by given statistics, and in the same pass adds a residual and rectifies.
//
//   y = f(gamma·(x − mean)·inverse + beta + residual)                    Ioffe & Szegedy 2015
//   f(v) = v where v > 0, else slope·v (@if(activation)); the residual behind @if(added)
//
// x, residual, y [rows, c]; the others [c]. @if(vectors): channels counts vec4s. One invocation: one channel (vec4 of
// channels) of ROWS rows, so that statistics are read once for all of them. Grid: ceil(ceil(rows / ROWS)·c / 64), folded.

import constants::ROWS;
import package::shared::grid::flat_index;
import package::shared::rectifier::{rectify, rectify4};

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;

struct Params {
  rows: u32,
  channels: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read> mean: array<Lane>;
@group(0) @binding(3) var<storage, read> inverse: array<Lane>;
@group(0) @binding(4) var<storage, read> gamma: array<Lane>;
@group(0) @binding(5) var<storage, read> beta: array<Lane>;
@if(added) @group(0) @binding(6) var<storage, read> residual: array<Lane>;
@group(0) @binding(7) var<storage, read_write> y: array<Lane>;

const SIZE = 64u;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  let first = i / params.channels * ROWS;
  if (first >= params.rows) {
    return;
  }
  let c = i % params.channels;
  let centre = mean[c];
  let scale = inverse[c] * gamma[c];
  let shift = beta[c];
  let end = min(first + ROWS, params.rows);
  for (var row = first; row < end; row++) {
    let at = row * params.channels + c;
    var v = (x[at] - centre) * scale + shift;
    @if(added) {
      v += residual[at];
    }
    @if(activation && vectors) {
      v = rectify4(v, params.slope);
    }
    @if(activation && !vectors) {
      v = rectify(v, params.slope);
    }
    y[at] = v;
  }
}
