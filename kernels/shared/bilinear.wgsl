// Bilinear sampling at the moved taps of a deformable convolution; pairs are (x, y).

import package::shared::conv::input_pixel;

// Farther than any image reaches, so that an infinite offset still gives a whole number.
const FAR = 4194304.0;

// A place between four pixels: the one above and to the left, and the way from it to its neighbours, in [0, 1].
struct Place {
  cell: vec2i,
  part: vec2f,
}

// The place at `regular` + `offset`. Whole and broken parts stay apart, so that a large position costs no digits.
fn place_at(regular: vec2i, offset: vec2f) -> Place {
  let near = clamp(offset, vec2f(-FAR), vec2f(FAR));
  let whole = floor(near);
  return Place(regular + vec2i(whole), near - whole);
}

// The way of a place moved by `offset` from a pixel: the part of `place_at`, which the pixel does not change.
fn part_of(offset: vec2f) -> vec2f {
  let near = clamp(offset, vec2f(-FAR), vec2f(FAR));
  return near - floor(near);
}

// The numbers of the four pixels: top left, top right, bottom left, bottom right; negative outside of the image.
fn corner_pixels(batch: i32, cell: vec2i, size: vec2u) -> vec4i {
  return vec4i(
    input_pixel(batch, cell.y, cell.x, size),
    input_pixel(batch, cell.y, cell.x + 1, size),
    input_pixel(batch, cell.y + 1, cell.x, size),
    input_pixel(batch, cell.y + 1, cell.x + 1, size),
  );
}

// Their weights, in the same order.
fn corner_weights(part: vec2f) -> vec4f {
  let rest = 1.0 - part;
  return vec4f(rest.y * rest.x, rest.y * part.x, part.y * rest.x, part.y * part.x);
}
