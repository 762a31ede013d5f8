// Winograd convolution, the gradient of the output: the values of each tile of 4×4, for the gradient of the weights.
//
//   v[i, j] = (A·tile·Aᵀ)[i, j] for each channel        Lavin & Gray 2016, F(4×4, 3×3), turned round
//
// grad_y [n, out_h, out_w, cout], zero outside; v [6, 6, tiles, cout]: the tiles from `first` on, counted along x, y and the
// batch; both read as numbers: 36 vec4s would leave the registers. Tile (ty, tx) begins at pixel (4·ty, 4·tx).
// One invocation: a tile × one channel. Grid: flat, channels fastest. Deterministic.

import package::shared::conv::input_pixel;
import package::shared::grid::flat_index;
import package::shared::winograd::{Four, Six, values_of_outputs};

struct Params {
  // tiles · cout.
  count: u32,
  first: u32,
  tiles_h: u32,
  tiles_w: u32,
  out_h: u32,
  out_w: u32,
  cout: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad_y: array<f32>;
@group(0) @binding(2) var<storage, read_write> v: array<f32>;

const SIZE = 64u;

// Row `y` of the tile that begins at `origin` (image, y, x), as values along x.
fn row(origin: vec3i, y: i32, channel: u32) -> Six {
  var d: Four;
  for (var i = 0; i < 4; i++) {
    let pixel = input_pixel(origin.x, origin.y + y, origin.z + i, vec2u(params.out_w, params.out_h));
    d[i] = select(0.0, grad_y[u32(max(pixel, 0)) * params.cout + channel], pixel >= 0);
  }
  return values_of_outputs(d);
}

fn store_column(place: u32, column: u32, d: Four) {
  let values = values_of_outputs(d);
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
  let channel = place % params.cout;
  let tile = params.first + place / params.cout;
  let row_of_tiles = tile / params.tiles_w;
  let origin = vec3i(
    i32(row_of_tiles / params.tiles_h),
    4 * i32(row_of_tiles % params.tiles_h),
    4 * i32(tile % params.tiles_w),
  );
  let a = row(origin, 0, channel);
  let b = row(origin, 1, channel);
  let c = row(origin, 2, channel);
  let d = row(origin, 3, channel);
  for (var j = 0u; j < 6u; j++) {
    store_column(place, j, Four(a[j], b[j], c[j], d[j]));
  }
}
