// Turns the sum of all squared gradients into their norm, and into the factor that clips them.
//
//   norm = √x,   factor = min(1, limit / (norm + 1e-6))      as PyTorch's clip_grad_norm_; limit = 0: factor = 1
//   factor = −1 where x is NaN or infinite: the update leaves everything as it is
//
// x, norm, factor: scalars; x comes as its bits, because a compiler may assume that no float is NaN. One invocation does it.

struct Params {
  limit: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> factor: array<f32>;

const EXPONENT = 0x7f800000u;

@compute @workgroup_size(1)
fn main() {
  let length = sqrt(bitcast<f32>(x[0]));
  norm[0] = length;
  if ((x[0] & EXPONENT) == EXPONENT) {
    factor[0] = -1.0;
  } else if (params.limit > 0.0) {
    factor[0] = min(1.0, params.limit / (length + 1e-6));
  } else {
    factor[0] = 1.0;
  }
}
