// Winograd convolution, the weights: the values of the taps, once for all tiles.
//
//   u[i, j] = (G·weight·Gᵀ)[i, j] for each pair of channels        Lavin & Gray 2016, F(4×4, 3×3)
//
// weight [3, 3, cin, cout], u [6, 6, cin, cout]; as numbers: 36 vec4s would leave the
// registers. @if(turned): those that the gradient of the input is computed with, [6, 6, cout, cin]: taps reversed, channels
// exchanged. One invocation: all values of one pair of channels. Grid: flat, the last channels of u fastest. Deterministic.

import package::shared::element::{In};
import package::shared::grid::flat_index;
import package::shared::winograd::{Three, Six, values_of_taps};

struct Params {
  // cin · cout.
  count: u32,
  cin: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<In>;
@group(0) @binding(2) var<storage, read_write> u: array<f32>;

const SIZE = 64u;

@if(!turned)
fn weight_at(pair: u32, tap: u32) -> f32 {
  return f32(weight[tap * params.count + pair]);
}

@if(turned)
fn weight_at(pair: u32, tap: u32) -> f32 {
  let cout = params.count / params.cin;
  return f32(weight[(8u - tap) * params.count + pair % params.cin * cout + pair / params.cin]);
}

// The three taps of column `x`, as values along y.
fn column(pair: u32, x: u32) -> Six {
  return values_of_taps(Three(weight_at(pair, x), weight_at(pair, x + 3u), weight_at(pair, x + 6u)));
}

fn store_row(pair: u32, row: u32, taps: Three) {
  let values = values_of_taps(taps);
  for (var j = 0u; j < 6u; j++) {
    u[(row * 6u + j) * params.count + pair] = values[j];
  }
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let pair = flat_index(workgroup, workgroups, local, SIZE);
  if (pair >= params.count) {
    return;
  }
  let a = column(pair, 0u);
  let b = column(pair, 1u);
  let c = column(pair, 2u);
  for (var i = 0u; i < 6u; i++) {
    store_row(pair, i, Three(a[i], b[i], c[i]));
  }
}
