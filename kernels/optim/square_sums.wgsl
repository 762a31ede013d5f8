// Sums the squares of blocks of 16,384 elements by a fixed tree: the first pass of the norm of all gradients.
//
//   y[first_block + block] = Σ x[block·16384 … block·16384 + 16383]²
//
// x [count] as vec4, count a multiple of 4; y: the sums of all buckets, one after another. One workgroup: one block; each
// invocation takes 64 vec4s, 64 apart, then halves: few invocations with many, because on a CPU a barrier costs each of them more
// than a load. Grid: ceil(count / 16384) workgroups, folded. Deterministic. A square over 3.4e38 is infinite.

struct Params {
  count4: u32,
  first_block: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const SIZE = 64u;
const BLOCK4 = 4096u;

var<workgroup> partial: array<f32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let block = workgroup.y * workgroups.x + workgroup.x;
  let first = block * BLOCK4;
  let end = min(first + BLOCK4, params.count4);
  var total = 0.0;
  for (var i = first + local; i < end; i += SIZE) {
    total += dot(x[i], x[i]);
  }
  partial[local] = total;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    if (local < half) {
      partial[local] += partial[local + half];
    }
    workgroupBarrier();
  }
  // A folded grid may have a workgroup past the last block.
  if (local == 0u && first < params.count4) {
    y[params.first_block + block] = partial[0];
  }
}
