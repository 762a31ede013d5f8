// Online hard example mining: the anchors of each image that its class loss is taken from.
//
//   wanted = ⌊ratio · positives⌋, or minimum where there is none
//   selected[a] = 1 for positives and for the `wanted` candidates of greatest loss, ties by lower index; 0 for the others
//
// losses [n, A] of 0 or more; labels [n, A]: 1 positive, 0 candidate, else ignored; selected [n, A]. NaN counts as greatest,
// so that it shows. One workgroup: one image, exact radix select in four passes of 8 bits (report §3.5). Histograms are
// integers, so the order of the atomics does not show. Grid: n. Deterministic.

struct Params {
  anchors: u32,
  ratio: f32,
  minimum: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// As bits: what a NaN becomes as a float is up to the driver.
@group(0) @binding(1) var<storage, read> losses: array<u32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> selected: array<f32>;

const SIZE = 256u;

var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> positives: atomic<u32>;
var<workgroup> prefix: u32;
var<workgroup> wanted: u32;
var<workgroup> equal: array<u32, SIZE>;

// Losses order like their bits; 0 is kept for what is no candidate.
fn key_of(at: u32) -> u32 {
  return select(0u, (losses[at] & 0x7fffffffu) + 1u, labels[at] == 0u);
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let base = workgroup.x * params.anchors;
  let end = base + params.anchors;
  var own = 0u;
  for (var at = base + local; at < end; at += SIZE) {
    own += u32(labels[at] == 1u);
  }
  atomicAdd(&positives, own);
  workgroupBarrier();
  if (local == 0u) {
    let count = atomicLoad(&positives);
    prefix = 0u;
    // Bounded first: a float of 2^32 or more has no u32.
    wanted = select(u32(min(params.ratio * f32(count), f32(params.anchors))), params.minimum, count == 0u);
  }
  for (var pass_index = 0u; pass_index < 4u; pass_index++) {
    let shift = 24u - 8u * pass_index;
    atomicStore(&histogram[local], 0u);
    workgroupBarrier();
    let known = prefix;
    for (var at = base + local; at < end; at += SIZE) {
      let key = key_of(at);
      if (key != 0u && (pass_index == 0u || (key >> (shift + 8u)) == known)) {
        atomicAdd(&histogram[(key >> shift) & 255u], 1u);
      }
    }
    workgroupBarrier();
    if (local == 0u) {
      var bin = 255u;
      while (bin > 0u && atomicLoad(&histogram[bin]) < wanted) {
        wanted -= atomicLoad(&histogram[bin]);
        bin--;
      }
      prefix = (prefix << 8u) | bin;
    }
    workgroupBarrier();
  }
  // `prefix` is now the key of the last one wanted, `wanted` how many equal to it are taken; 0 where fewer exist.
  let cut = prefix;
  let quota = wanted;
  let share = (params.anchors + SIZE - 1u) / SIZE;
  let first = base + min(local * share, params.anchors);
  let last = min(first + share, end);
  var same = 0u;
  for (var at = first; at < last; at++) {
    same += u32(key_of(at) == cut);
  }
  equal[local] = same;
  workgroupBarrier();
  var ties = 0u;
  for (var j = 0u; j < local; j++) {
    ties += equal[j];
  }
  for (var at = first; at < last; at++) {
    let key = key_of(at);
    let tie = key != 0u && key == cut;
    let taken = labels[at] == 1u || key > cut || (tie && ties < quota);
    selected[at] = select(0.0, 1.0, taken);
    ties += u32(tie);
  }
}
