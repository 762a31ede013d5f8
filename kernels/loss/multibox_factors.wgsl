// What the class, the box and the landmark losses of a batch, or of any part of it, are divided by, as factors.
//
//   factors = 1 / max(1, Σ_i (selected anchors or, with class_by_positives, positives; positives; positives with landmarks))
//
// counts [n, 3]: positives, selected anchors, positives with landmarks; factors [3]. One invocation does it all.
// Grid: 1. Deterministic.

struct Params {
  images: u32,
  class_by_positives: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> factors: array<f32>;

@compute @workgroup_size(1)
fn main() {
  var totals = vec3u();
  for (var i = 0u; i < params.images; i++) {
    totals += vec3u(counts[i * 3u], counts[i * 3u + 1u], counts[i * 3u + 2u]);
  }
  factors[0] = 1.0 / f32(max(1u, select(totals.y, totals.x, params.class_by_positives != 0u)));
  factors[1] = 1.0 / f32(max(1u, totals.x));
  factors[2] = 1.0 / f32(max(1u, totals.z));
}
