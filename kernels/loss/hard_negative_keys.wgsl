// What the choice of hard negatives begins with: losses as keys, and the positives of each image, selected and counted.
//
// losses [n, A] of 0 or more; labels [n, A]: 1 positive, 0 candidate, else ignored; keys [n, A]: of a candidate the bits of
// its loss and 1, else 0; selected [n, A], 1 for positives, else 0; positives [n], zeros before. Losses order like their bits;
// NaN counts as greatest, so that it shows. One invocation: one anchor. Grid: (ceil(A / 256), n).

struct Params {
  anchors: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// As bits: what a NaN becomes as a float is up to the driver.
@group(0) @binding(1) var<storage, read> losses: array<u32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> keys: array<u32>;
@group(0) @binding(4) var<storage, read_write> selected: array<f32>;
@group(0) @binding(5) var<storage, read_write> positives: array<atomic<u32>>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.anchors) {
    return;
  }
  let at = id.y * params.anchors + id.x;
  let label = labels[at];
  keys[at] = select(0u, (losses[at] & 0x7fffffffu) + 1u, label == 0u);
  selected[at] = f32(label == 1u);
  if (label == 1u) {
    atomicAdd(&positives[id.y], 1u);
  }
}
