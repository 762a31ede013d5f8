// Sums blocks of 4,096 elements by a fixed tree, and scales the sums; run again on its own output until one is left.
//
//   y[block] = scale · Σ x[block·4096 … block·4096 + 4095]
//
// x [count], y [ceil(count / 4096)]. One workgroup: one block; each invocation sums 16 elements, 256 apart, then halves.
// Grid: ceil(count / 4096) workgroups, folded. Deterministic; the error grows with the depth of the tree, not with count.

struct Params {
  count: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const SIZE = 256u;
const BLOCK = 4096u;

var<workgroup> partial: array<f32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let block = workgroup.y * workgroups.x + workgroup.x;
  let first = block * BLOCK;
  let end = min(first + BLOCK, params.count);
  var total = 0.0;
  for (var i = first + local; i < end; i += SIZE) {
    total += x[i];
  }
  partial[local] = total;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    if (local < half) {
      partial[local] += partial[local + half];
    }
    workgroupBarrier();
  }
  // A folded grid may have a workgroup past the last block; block 0 exists even for no elements.
  if (local == 0u && (first < params.count || block == 0u)) {
    y[block] = params.scale * partial[0];
  }
}
