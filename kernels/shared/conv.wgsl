// Where an output pixel of a convolution reads from, for all its kernels.

// Far enough outside of every image that no tap brings it back in.
const OUTSIDE = -0x40000000;

// The input position (batch, y, x) of the first tap of output pixel `index`, counted through the batch; outside of the
// image for a pixel past the last.
fn first_tap(index: u32, count: u32, out_size: vec2u, stride: vec2u, padding: vec2u) -> vec3i {
  let row = index / out_size.x;
  let at = vec2i(vec2u(index % out_size.x, row % out_size.y) * stride) - vec2i(padding);
  return select(vec3i(0, OUTSIDE, OUTSIDE), vec3i(i32(row / out_size.y), at.y, at.x), index < count);
}

// The number of the input pixel at (batch, y, x), through the batch; negative outside of the image.
fn input_pixel(batch: i32, row: i32, column: i32, size: vec2u) -> i32 {
  let inside = row >= 0 && row < i32(size.y) && column >= 0 && column < i32(size.x);
  return select(-1, (batch * i32(size.y) + row) * i32(size.x) + column, inside);
}

// An output pixel as a gradient of the weights walks over them: position in the image and number of the image.
struct WindowWalk {
  at: vec2u,
  batch: u32,
}

// The walk at output pixel `index`, counted through the batch.
fn start_walk(index: u32, out_size: vec2u) -> WindowWalk {
  let row = index / out_size.x;
  return WindowWalk(vec2u(index % out_size.x, row % out_size.y), row / out_size.y);
}

// `steps` pixels further; no division, because a walk takes many steps.
fn advance(walk: WindowWalk, steps: u32, out_size: vec2u) -> WindowWalk {
  var next = walk;
  next.at.x += steps;
  while (next.at.x >= out_size.x) {
    next.at.x -= out_size.x;
    next.at.y += 1u;
    if (next.at.y == out_size.y) {
      next.at.y = 0u;
      next.batch += 1u;
    }
  }
  return next;
}

// The number of the input pixel that a tap sees at the walk's output pixel; negative outside of the image. `origin`: the
// input position of that tap at output position 0.
fn walk_pixel(walk: WindowWalk, origin: vec2i, stride: vec2i, in_size: vec2u) -> i32 {
  let at = origin + vec2i(walk.at) * stride;
  return input_pixel(i32(walk.batch), at.y, at.x, in_size);
}
