// Winograd convolution, the output: the sixteen pixels of each tile from its 36 products, and what follows a convolution.
//
//   y = f(scale[o] · (Aᵀ·m·A) + shift[o] + residual)        Lavin & Gray 2016, F(4×4, 3×3)
//   f(v) = v where v > 0, else slope·v (@if(activation)); scale, shift and residual each behind an @if
//
// m [6, 6, tiles, cout]: the tiles from `first` on, counted along x, y and the batch; residual and y
// [n, out_h, out_w, cout] with a pitch and an offset; scale and shift [cout]; all read as numbers: 36 vec4s would leave the
// registers. Tile (ty, tx) begins at pixel (4·ty, 4·tx); what it has outside of the image is left out.
// One invocation: a tile × one channel. Grid: flat, channels fastest. Deterministic.

import package::shared::element::{In, Out};
import package::shared::grid::flat_index;
import package::shared::rectifier::rectify;
import package::shared::winograd::{Four, Six, outputs_of_values};

struct Params {
  // tiles · cout.
  count: u32,
  first: u32,
  tiles_h: u32,
  tiles_w: u32,
  out_h: u32,
  out_w: u32,
  cout: u32,
  residual_pitch: u32,
  residual_offset: u32,
  y_pitch: u32,
  y_offset: u32,
  slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@if(scaled) @group(0) @binding(2) var<storage, read> scale: array<f32>;
@if(shifted) @group(0) @binding(3) var<storage, read> shift: array<f32>;
@if(added) @group(0) @binding(4) var<storage, read> residual: array<In>;
@group(0) @binding(5) var<storage, read_write> y: array<Out>;

const SIZE = 64u;

// The epilogue of one output, and its store.
fn finish(sum: f32, pixel: u32, column: u32) {
  var v = sum;
  @if(scaled) {
    v *= scale[column];
  }
  @if(shifted) {
    v += shift[column];
  }
  @if(added) {
    v += f32(residual[pixel * params.residual_pitch + params.residual_offset + column]);
  }
  @if(activation) {
    v = rectify(v, params.slope);
  }
  y[pixel * params.y_pitch + params.y_offset + column] = Out(v);
}

// Column `j` of the tile's products, as outputs along y.
fn column(place: u32, j: u32) -> Four {
  var values: Six;
  for (var i = 0u; i < 6u; i++) {
    values[i] = m[(i * 6u + j) * params.count + place];
  }
  return outputs_of_values(values);
}

// The part inside the image of a row of four pixels at `at` (x, y) of an image.
fn store_row(image: u32, at: vec2u, channel: u32, values: Six) {
  if (at.y >= params.out_h) {
    return;
  }
  let outputs = outputs_of_values(values);
  for (var i = 0u; i < 4u; i++) {
    if (at.x + i < params.out_w) {
      finish(outputs[i], (image * params.out_h + at.y) * params.out_w + at.x + i, channel);
    }
  }
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let place = flat_index(workgroup, workgroups, local, SIZE);
  if (place >= params.count) {
    return;
  }
  let channel = place % params.cout;
  let tile = params.first + place / params.cout;
  let row_of_tiles = tile / params.tiles_w;
  let image = row_of_tiles / params.tiles_h;
  let at = 4u * vec2u(tile % params.tiles_w, row_of_tiles % params.tiles_h);
  let a = column(place, 0u);
  let b = column(place, 1u);
  let c = column(place, 2u);
  let d = column(place, 3u);
  let e = column(place, 4u);
  let f = column(place, 5u);
  for (var i = 0u; i < 4u; i++) {
    store_row(image, at + vec2u(0u, i), channel, Six(a[i], b[i], c[i], d[i], e[i], f[i]));
  }
}
