// How many anchors of each image take part in which loss.
//
//   counts[first + i] = (positives, selected anchors, positives whose face has landmarks)
//
// labels, matched, selected [n, A]: 1 in labels is positive; annotated [n, F], 1 or 0; counts [N, 3], N ≥ first + n:
// of a batch, or of all parts of one. One workgroup: one image. Grid: n. Integers, so the order of the atomics does not
// show. Deterministic.

struct Params {
  anchors: u32,
  faces: u32,
  first: u32, // row of the first image in counts
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> matched: array<u32>;
@group(0) @binding(3) var<storage, read> selected: array<f32>;
@group(0) @binding(4) var<storage, read> annotated: array<f32>;
@group(0) @binding(5) var<storage, read_write> counts: array<u32>;

const SIZE = 256u;

var<workgroup> totals: array<atomic<u32>, 3>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let base = workgroup.x * params.anchors;
  var positives = 0u;
  var taken = 0u;
  var with_landmarks = 0u;
  for (var at = base + local; at < base + params.anchors; at += SIZE) {
    taken += u32(selected[at] != 0.0);
    if (labels[at] == 1u) {
      positives++;
      with_landmarks += u32(annotated[workgroup.x * params.faces + matched[at]] != 0.0);
    }
  }
  atomicAdd(&totals[0], positives);
  atomicAdd(&totals[1], taken);
  atomicAdd(&totals[2], with_landmarks);
  workgroupBarrier();
  if (local < 3u) {
    counts[(params.first + workgroup.x) * 3u + local] = atomicLoad(&totals[local]);
  }
}
