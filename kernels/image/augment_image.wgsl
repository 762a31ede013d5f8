// A part of a picture as network input: resized, mirrored, its colours changed, normalised.
//
//   y = (colour(value) − mean) / std, value the mean of taps_x · taps_y bilinear samples (half-pixel centres) spread over
//   what the output pixel covers; of the samples outside the picture each counts as y = 0
//   colour: + brightness, · contrast_before, saturation and hue in HSV (hexcone), · contrast_after, each cut to 0 … 255
//   (the distortions of SSD, Liu et al. 2016, section 2.2)
//
// picture: packed RGBA u32, row-major, from row `source_row` on as far as this band reads. y: [n, size, size, 4], rows `first`
// to first + rows of image `image`; fourth channel 0.
// One invocation: one pixel of y. Grid: ceil(rows · size / 64), folded. Deterministic.

import package::shared::grid::flat_index;

struct Params {
  source_width: u32, source_height: u32, size: u32, image: u32, source_row: u32, first: u32, rows: u32,
  crop_x: f32, crop_y: f32, step_x: f32, step_y: f32, // of an output pixel, in source pixels
  taps_x: u32, taps_y: u32, flip: u32, bgr: u32,
  brightness: f32, contrast_before: f32, contrast_after: f32, saturation: f32,
  hue: f32, // in sixths of a turn
  mean0: f32, mean1: f32, mean2: f32, std0: f32, std1: f32, std2: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> picture: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

const SIZE = 64u;

fn pixel(x: u32, row: u32) -> vec3f {
  let p = picture[(row - params.source_row) * params.source_width + x];
  return vec3f(f32(p & 255u), f32((p >> 8u) & 255u), f32((p >> 16u) & 255u));
}

fn bilinear(at: vec2f) -> vec3f {
  let source = vec2u(params.source_width, params.source_height);
  let position = clamp(at - 0.5, vec2f(), vec2f(source - 1u));
  let a = vec2u(position);
  let b = min(a + 1u, source - 1u);
  let share = position - vec2f(a);
  let top = mix(pixel(a.x, a.y), pixel(b.x, a.y), share.x);
  return mix(top, mix(pixel(a.x, b.y), pixel(b.x, b.y), share.x), share.y);
}

fn cut(value: vec3f) -> vec3f {
  return clamp(value, vec3f(), vec3f(255.0));
}

// Saturation times a factor and hue plus a turn, through hue, saturation and value.
fn turn_hue(colour: vec3f) -> vec3f {
  let value = max(colour.r, max(colour.g, colour.b));
  let chroma = value - min(colour.r, min(colour.g, colour.b));
  if (chroma <= 0.0) {
    return colour;
  }
  var sixths: f32;
  if (value == colour.r) {
    sixths = (colour.g - colour.b) / chroma;
  } else if (value == colour.g) {
    sixths = (colour.b - colour.r) / chroma + 2.0;
  } else {
    sixths = (colour.r - colour.g) / chroma + 4.0;
  }
  sixths += params.hue + 6.0;
  let changed = min(chroma * params.saturation, value);
  let k = vec3f(5.0, 3.0, 1.0) + sixths;
  let distance = k - 6.0 * floor(k / 6.0);
  return value - changed * clamp(min(distance, 4.0 - distance), vec3f(), vec3f(1.0));
}

fn recolour(value: vec3f) -> vec3f {
  var colour = cut(value + params.brightness);
  colour = cut(colour * params.contrast_before);
  if (params.saturation != 1.0 || params.hue != 0.0) {
    colour = turn_hue(colour);
  }
  return cut(colour * params.contrast_after);
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.rows * params.size) {
    return;
  }
  let row = params.first + i / params.size;
  let column = i % params.size;
  let place = vec2f(f32(select(column, params.size - 1u - column, params.flip != 0u)), f32(row));
  let step = vec2f(params.step_x, params.step_y);
  let corner = vec2f(params.crop_x, params.crop_y) + place * step;
  let between = step / vec2f(f32(params.taps_x), f32(params.taps_y));
  let edge = vec2f(f32(params.source_width), f32(params.source_height));
  var sum = vec3f();
  var inside = 0.0;
  for (var v = 0u; v < params.taps_y; v++) {
    for (var u = 0u; u < params.taps_x; u++) {
      let at = corner + (vec2f(f32(u), f32(v)) + 0.5) * between;
      if (all(at >= vec2f()) && all(at < edge)) {
        sum += bilinear(at);
        inside += 1.0;
      }
    }
  }
  var colour = recolour(sum / max(inside, 1.0));
  colour = select(colour, colour.zyx, params.bgr != 0u);
  let mean = vec3f(params.mean0, params.mean1, params.mean2);
  let deviation = vec3f(params.std0, params.std1, params.std2);
  let share = inside / f32(params.taps_x * params.taps_y);
  y[(params.image * params.size + row) * params.size + column] = vec4f(share * (colour - mean) / deviation, 0.0);
}
