// Gradient of nearest-neighbour resampling: every input pixel gathers the output pixels that show it.
//
//   grad_x[b, y, x, c] = Σ grad_y[b, oy, ox, c]   ceil(y·out_h / h) ≤ oy < ceil((y + 1)·out_h / h), columns likewise
//
// grad_y [n, out_h, out_w, c], grad_x [n, h, w, c]; sides below 65,536. @if(vectors): channels counts vec4s. One
// invocation: one pixel's channel (vec4 of channels). Grid: ceil(size of grad_x / 64), folded. Sums in row-major order.

import package::shared::grid::flat_index;

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;

struct Params {
  count: u32,
  height: u32,
  width: u32,
  channels: u32,
  out_height: u32,
  out_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad_y: array<Lane>;
@group(0) @binding(2) var<storage, read_write> grad_x: array<Lane>;

const SIZE = 64u;

fn divide_up(a: u32, b: u32) -> u32 {
  return (a + b - 1u) / b;
}

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
  let pixel = i / params.channels;
  let column = pixel % params.width;
  let row = (pixel / params.width) % params.height;
  let batch = pixel / (params.width * params.height);
  let below = divide_up((row + 1u) * params.out_height, params.height);
  let left = divide_up(column * params.out_width, params.width);
  let after = divide_up((column + 1u) * params.out_width, params.width);
  var total = Lane();
  for (var oy = divide_up(row * params.out_height, params.height); oy < below; oy++) {
    for (var ox = left; ox < after; ox++) {
      total += grad_y[((batch * params.out_height + oy) * params.out_width + ox) * params.channels + channel];
    }
  }
  grad_x[i] = total;
}
