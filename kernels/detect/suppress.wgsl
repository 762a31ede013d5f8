// Exact greedy non-maximum suppression of sorted faces, and the compact output.
// faces: [n, k, 15]; counts: [n]; y: [n, 1 + max_faces·15]. One workgroup: one image; a kept face removes, in parallel,
// all later ones with IoU > threshold. The removal mask is in workgroup memory: k ≤ 32,768. Deterministic.

import package::shared::boxes::iou;

struct Params {
  k: u32,
  max_faces: u32,
  threshold: f32,
  edge: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> faces: array<f32>;
@group(0) @binding(2) var<storage, read> counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const SIZE = 256u;
var<workgroup> removed: array<atomic<u32>, 1024>;
// A word of it that all invocations read: not every compiler takes an atomic for a uniform load.
var<workgroup> word: u32;

fn box(at: u32) -> vec4f {
  return vec4f(faces[at + 1u], faces[at + 2u], faces[at + 3u], faces[at + 4u]);
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.x;
  let count = counts[row];
  let target_row = row * (1u + params.max_faces * 15u);
  var kept = 0u;
  var i = 0u;
  while (i < count) {
    if (local == 0u) {
      word = atomicLoad(&removed[i / 32u]);
    }
    // What is left of the word from i on: a barrier for each face that is kept, not for each that is removed.
    let left = ~workgroupUniformLoad(&word) & (0xffffffffu << (i % 32u));
    if (left == 0u) {
      i = (i / 32u + 1u) * 32u;
      continue;
    }
    i = i / 32u * 32u + firstTrailingBit(left);
    if (i >= count || kept == params.max_faces) {
      break;
    }
    let from_face = (row * params.k + i) * 15u;
    if (local < 15u) {
      y[target_row + 1u + kept * 15u + local] = faces[from_face + local];
    }
    kept++;
    let a = box(from_face);
    for (var j = i + 1u + local; j < count; j += SIZE) {
      if (iou(a, box((row * params.k + j) * 15u), params.edge) > params.threshold) {
        atomicOr(&removed[j / 32u], 1u << (j % 32u));
      }
    }
    workgroupBarrier();
    i++;
  }
  if (local == 0u) {
    y[target_row] = f32(kept);
  }
  for (var j = kept * 15u + local; j < params.max_faces * 15u; j += SIZE) {
    y[target_row + 1u + j] = 0.0;
  }
}
