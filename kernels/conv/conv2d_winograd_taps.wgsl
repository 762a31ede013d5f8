// Winograd convolution, the gradient of the weights: the 3×3 taps of each pair of channels from its 36 sums over tiles.
//
//   grad_weight = Gᵀ·m·G  (+ grad_weight, @if(more): what the bands of tiles before gave)
//                                                        Lavin & Gray 2016, F(4×4, 3×3), turned round
//
// m [6, 6, cin, cout], grad_weight [3, 3, cin, cout]; as numbers: 36 vec4s would leave the registers. One invocation: all
// taps of one pair of channels. Grid: flat, output channels fastest. Deterministic.

import package::shared::grid::flat_index;
import package::shared::winograd::{Six, Three, taps_of_values};

struct Params {
  // cin · cout.
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read_write> grad_weight: array<f32>;

const SIZE = 64u;

// Column `j` of the sums, as taps along y.
fn column(pair: u32, j: u32) -> Three {
  var values: Six;
  for (var i = 0u; i < 6u; i++) {
    values[i] = m[(i * 6u + j) * params.count + pair];
  }
  return taps_of_values(values);
}

fn store_row(pair: u32, row: u32, values: Six) {
  let taps = taps_of_values(values);
  for (var x = 0u; x < 3u; x++) {
    let at = (row * 3u + x) * params.count + pair;
    var tap = taps[x];
    @if(more) {
      tap += grad_weight[at];
    }
    grad_weight[at] = tap;
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
  let d = column(pair, 3u);
  let e = column(pair, 4u);
  let f = column(pair, 5u);
  for (var i = 0u; i < 3u; i++) {
    store_row(pair, i, Six(a[i], b[i], c[i], d[i], e[i], f[i]));
  }
}
