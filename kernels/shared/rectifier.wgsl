// The (leaky) rectifier behind convolutions, sums and norms: v where v > 0, else slope·v.
//
// Without a leak what is negative becomes 0 by choice and not by a product: 0·(−∞) would be NaN. NaN itself passes: both
// comparisons with it are false, and slope·NaN is NaN.

fn rectify(v: f32, slope: f32) -> f32 {
  let leaked = select(slope * v, 0.0, slope == 0.0 && v < 0.0);
  return select(leaked, v, v > 0.0);
}

fn rectify4(v: vec4f, slope: f32) -> vec4f {
  let leaked = select(slope * v, vec4f(), vec4<bool>(slope == 0.0) & (v < vec4f()));
  return select(leaked, v, v > vec4f());
}

// The gradient before the rectifier, from its output (or what has its sign) and the gradient of that. Without a leak it is 0
// by choice, as in PyTorch: 0·∞ would be NaN.
fn rectify_gradient(gradient: f32, y: f32, slope: f32) -> f32 {
  return select(select(slope * gradient, 0.0, slope == 0.0), gradient, y > 0.0);
}

fn rectify_gradient4(gradient: vec4f, y: vec4f, slope: f32) -> vec4f {
  return select(select(slope * gradient, vec4f(), slope == 0.0), gradient, y > vec4f());
}
