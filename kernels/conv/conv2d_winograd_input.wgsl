// Winograd convolution, the input: the values of each tile of 6×6 pixels, two of which it shares with its neighbour.
//
//   v[i, j] = (Bᵀ·tile·B)[i, j] for each channel        Lavin & Gray 2016, F(4×4, 3×3)
//
// x [n, in_h, in_w, cin] with a pitch and an offset, zero outside; v [6, 6, tiles, cin]: the tiles from `first` on, counted
// along x, y and the batch; both read as numbers: 36 vec4s would leave the registers. Tile (ty, tx) begins at pixel
// (4·ty, 4·tx) − padding. One invocation: a tile × one channel. Grid: flat, channels fastest. Deterministic.

import package::shared::conv::input_pixel;
import package::shared::element::{In};
import package::shared::grid::flat_index;
import package::shared::winograd::{Six, values_of_input};

struct Params {
  // tiles · cin.
  count: u32,
  first: u32,
  tiles_h: u32,
  tiles_w: u32,
  in_h: u32,
  in_w: u32,
  cin: u32,
  pad_top: u32,
  pad_left: u32,
  x_pitch: u32,
  x_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<In>;
@group(0) @binding(2) var<storage, read_write> v: array<f32>;

const SIZE = 64u;

// Row `y` of the tile that begins at `origin` (image, y, x), as values along x.
fn row(origin: vec3i, y: i32, channel: u32) -> Six {
  var d: Six;
  for (var i = 0; i < 6; i++) {
    let pixel = input_pixel(origin.x, origin.y + y, origin.z + i, vec2u(params.in_w, params.in_h));
    d[i] = select(0.0, f32(x[u32(max(pixel, 0)) * params.x_pitch + params.x_offset + channel]), pixel >= 0);
  }
  return values_of_input(d);
}

fn store_column(place: u32, column: u32, d: Six) {
  let values = values_of_input(d);
  for (var i = 0u; i < 6u; i++) {
    v[(i * 6u + column) * params.count + place] = values[i];
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
  let channel = place % params.cin;
  let tile = params.first + place / params.cin;
  let row_of_tiles = tile / params.tiles_w;
  let origin = vec3i(
    i32(row_of_tiles / params.tiles_h),
    4 * i32(row_of_tiles % params.tiles_h) - i32(params.pad_top),
    4 * i32(tile % params.tiles_w) - i32(params.pad_left),
  );
  let a = row(origin, 0, channel);
  let b = row(origin, 1, channel);
  let c = row(origin, 2, channel);
  let d = row(origin, 3, channel);
  let e = row(origin, 4, channel);
  let f = row(origin, 5, channel);
  for (var j = 0u; j < 6u; j++) {
    store_column(place, j, Six(a[j], b[j], c[j], d[j], e[j], f[j]));
  }
}
