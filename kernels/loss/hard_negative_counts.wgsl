// How many hard negatives each image wants: ⌊ratio · positives⌋, or the minimum where there is none.
//
// positives [n]; cuts [n, 10] as select_top_k has them, of which the first of each image is written. One invocation: one
// image. Grid: ceil(n / 64).

struct Params {
  images: u32,
  anchors: u32,
  ratio: f32,
  minimum: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> positives: array<u32>;
@group(0) @binding(2) var<storage, read_write> cuts: array<vec3u>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.images) {
    return;
  }
  let count = positives[id.x];
  // Bounded first: a float of 2^32 or more has no u32.
  let wanted = select(u32(min(params.ratio * f32(count), f32(params.anchors))), params.minimum, count == 0u);
  cuts[id.x * 10u] = vec3u(0u, 0u, wanted);
}
