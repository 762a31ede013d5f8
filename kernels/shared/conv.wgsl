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
fn input_pixel(batch: i32, y: i32, x: i32, size: vec2u) -> i32 {
  let inside = y >= 0 && y < i32(size.y) && x >= 0 && x < i32(size.x);
  return select(-1, (batch * i32(size.y) + y) * i32(size.x) + x, inside);
}
