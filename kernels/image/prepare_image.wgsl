// One picture as network input: resized, placed at the top left, normalised, padded with 0.
//
//   y = (value − mean) / std, value bilinear with half-pixel centres (OpenCV INTER_LINEAR) where the scale is at least
//   0.5, elsewhere the mean of the source pixels whose box the output pixel covers
//
// picture: packed RGBA u32, row-major. y: [n, h, w, 4], image `image`; fourth channel 0.
// One invocation: one pixel of y. Grid: ceil(h·w / 64), folded. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  source_width: u32, source_height: u32, placed_width: u32, placed_height: u32, width: u32, height: u32, image: u32,
  area: u32, bgr: u32,
  mean0: f32, mean1: f32, mean2: f32, std0: f32, std1: f32, std2: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> picture: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

const SIZE = 64u;

fn pixel(x: u32, row: u32) -> vec3f {
  let p = picture[row * params.source_width + x];
  return vec3f(f32(p & 255u), f32((p >> 8u) & 255u), f32((p >> 16u) & 255u));
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  let plane = params.width * params.height;
  if (i >= plane) {
    return;
  }
  let at = vec2u(i % params.width, i / params.width);
  let placed = vec2u(params.placed_width, params.placed_height);
  if (any(at >= placed)) {
    y[params.image * plane + i] = vec4f();
    return;
  }
  let source = vec2u(params.source_width, params.source_height);
  let ratio = vec2f(source) / vec2f(placed);
  var value = vec3f();
  if (params.area != 0u) {
    let low = vec2u(vec2f(at) * ratio);
    let high = min(max(vec2u(ceil(vec2f(at + 1u) * ratio)), low + 1u), source);
    for (var row = low.y; row < high.y; row++) {
      for (var x = low.x; x < high.x; x++) {
        value += pixel(x, row);
      }
    }
    value /= f32((high.x - low.x) * (high.y - low.y));
  } else {
    let position = clamp((vec2f(at) + 0.5) * ratio - 0.5, vec2f(), vec2f(source - 1u));
    let a = vec2u(position);
    let b = min(a + 1u, source - 1u);
    let share = position - vec2f(a);
    let top = mix(pixel(a.x, a.y), pixel(b.x, a.y), share.x);
    value = mix(top, mix(pixel(a.x, b.y), pixel(b.x, b.y), share.x), share.y);
  }
  value = select(value, value.zyx, params.bgr != 0u);
  let mean = vec3f(params.mean0, params.mean1, params.mean2);
  let deviation = vec3f(params.std0, params.std1, params.std2);
  y[params.image * plane + i] = vec4f((value - mean) / deviation, 0.0);
}
