// One picture as network input: resized, placed at the top left, normalised, padded with 0.
//
//   y = (value − mean) / std, value bilinear with half-pixel centres (OpenCV INTER_LINEAR) where the scale is at least
//   0.5, elsewhere the mean of the source pixels whose box the output pixel covers
//
// Which source pixels those are is worked out in whole numbers, source = whole · placed + rest: a division of floats may
// be off by 2.5 ULP and begin a pixel early. 2 · placed · rest + source must stay below 2³².
//
// picture: packed RGBA u32, pixel (x, y) in element start + x·step_x + y·step_y: a band of rows (start below 0), a part of
// a larger picture, rows with padding between them, or a picture that is turned. y: [n, h, w, 4], rows `first` to
// first + rows of image `image`; fourth channel 0.
// One invocation: one pixel of y. Grid: ceil(rows·w / 64), folded. Deterministic.

import package::shared::element::{Out4};
import package::shared::grid::flat_index;

struct Params {
  source_width: u32, source_height: u32, placed_width: u32, placed_height: u32, width: u32, height: u32, image: u32,
  start: i32, step_x: i32, step_y: i32, first: u32, rows: u32, area: u32, bgr: u32,
  mean0: f32, mean1: f32, mean2: f32, std0: f32, std1: f32, std2: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> picture: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<Out4>;

const SIZE = 64u;

fn pixel(x: u32, row: u32) -> vec3f {
  let p = picture[u32(params.start + i32(x) * params.step_x + i32(row) * params.step_y)];
  return vec3f(f32(p & 255u), f32((p >> 8u) & 255u), f32((p >> 16u) & 255u));
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.width * params.rows) {
    return;
  }
  let at = vec2u(i % params.width, params.first + i / params.width);
  let place = (params.image * params.height + at.y) * params.width + at.x;
  let placed = vec2u(params.placed_width, params.placed_height);
  if (any(at >= placed)) {
    y[place] = Out4();
    return;
  }
  let source = vec2u(params.source_width, params.source_height);
  let whole = source / placed;
  let rest = source % placed;
  var value = vec3f();
  if (params.area != 0u) {
    let next = at + 1u;
    let low = at * whole + at * rest / placed;
    let high = max(next * whole + (next * rest + placed - 1u) / placed, low + 1u);
    for (var row = low.y; row < high.y; row++) {
      for (var x = low.x; x < high.x; x++) {
        value += pixel(x, row);
      }
    }
    value /= f32((high.x - low.x) * (high.y - low.y));
  } else {
    // (at + ½) · source / placed − ½, not below 0, over 2 · placed.
    let reach = max((2u * at + 1u) * rest + whole * placed, placed) - placed;
    let a = min(at * whole + reach / (2u * placed), source - 1u);
    let b = min(a + 1u, source - 1u);
    let share = vec2f(reach % (2u * placed)) / vec2f(2u * placed);
    let top = mix(pixel(a.x, a.y), pixel(b.x, a.y), share.x);
    value = mix(top, mix(pixel(a.x, b.y), pixel(b.x, b.y), share.x), share.y);
  }
  value = select(value, value.zyx, params.bgr != 0u);
  let mean = vec3f(params.mean0, params.mean1, params.mean2);
  let deviation = vec3f(params.std0, params.std1, params.std2);
  y[place] = Out4(vec4f((value - mean) / deviation, 0.0));
}
