// Multiply-adds in registers alone: what the adapter's arithmetic gives.
//
//   x ← x·factor + term, 8 chains of them in each invocation, so that none waits for the one before
//
// y [invocations]: the sum of the chains, so that none of them can be left out. They tend to term / (1 − factor), and never
// become denormal. Grid: flat. FUSED: with `fma`, which some drivers take apart; else with what they fuse by themselves.

override FUSED: bool;

struct Params {
  factor: f32,
  term: f32,
  steps: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn step(x: f32, factor: f32, term: f32) -> f32 {
  if (FUSED) {
    return fma(x, factor, term);
  }
  return x * factor + term;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let factor = params.factor;
  let term = params.term;
  var a = f32(id.x);
  var b = a + 1.0;
  var c = a + 2.0;
  var d = a + 3.0;
  var e = a + 4.0;
  var f = a + 5.0;
  var g = a + 6.0;
  var h = a + 7.0;
  for (var i = 0u; i < params.steps; i += 16u) {
    for (var k = 0u; k < 16u; k++) {
      a = step(a, factor, term);
      b = step(b, factor, term);
      c = step(c, factor, term);
      d = step(d, factor, term);
      e = step(e, factor, term);
      f = step(f, factor, term);
      g = step(g, factor, term);
      h = step(h, factor, term);
    }
  }
  y[id.x] = a + b + c + d + e + f + g + h;
}
