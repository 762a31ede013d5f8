// Gradient of max pooling: every input pixel gathers the gradients of the windows whose maximum it was.
//
//   grad_x[b, y, x, c] = Σ grad_y[b, oy, ox, c]   over the windows that hold (y, x) and have argmax = y·w + x
//
// grad_y, argmax (u32) [n, out_h, out_w, c], grad_x [n, h, w, c]. @if(vectors): channels counts vec4s. One invocation:
// one pixel's channel (vec4 of channels). Grid: ceil(size of grad_x / 64), folded. Sums in row-major order of windows.

import package::shared::grid::flat_index;

@if(vectors) alias Lane = vec4f;
@if(!vectors) alias Lane = f32;
@if(vectors) alias Index = vec4u;
@if(!vectors) alias Index = u32;

struct Params {
  count: u32,
  height: u32,
  width: u32,
  channels: u32,
  out_height: u32,
  out_width: u32,
  kernel_y: u32,
  kernel_x: u32,
  stride_y: u32,
  stride_x: u32,
  pad_top: u32,
  pad_left: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad_y: array<Lane>;
@group(0) @binding(2) var<storage, read> argmax: array<Index>;
@group(0) @binding(3) var<storage, read_write> grad_x: array<Lane>;

const SIZE = 64u;

// The first window along an axis that reaches a padded position: ceil((at − kernel + 1) / stride), at least 0.
fn first_window(at: u32, kernel: u32, stride: u32) -> u32 {
  return (max(at + 1u, kernel) - kernel + stride - 1u) / stride;
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
  let own = Index(row * params.width + column);
  let below = min((row + params.pad_top) / params.stride_y + 1u, params.out_height);
  let after = min((column + params.pad_left) / params.stride_x + 1u, params.out_width);
  let left = first_window(column + params.pad_left, params.kernel_x, params.stride_x);
  var total = Lane();
  for (var oy = first_window(row + params.pad_top, params.kernel_y, params.stride_y); oy < below; oy++) {
    for (var ox = left; ox < after; ox++) {
      let at = ((batch * params.out_height + oy) * params.out_width + ox) * params.channels + channel;
      total += select(Lane(), grad_y[at], argmax[at] == own);
    }
  }
  grad_x[i] = total;
}
