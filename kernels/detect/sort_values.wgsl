// The chosen values of each row in descending order, and where they were; ties by index.
// values, keys: [n, count]; chosen: [n, k], all of it valid; sorted, indices: [n, k].
// One invocation: one value, ranked against all. Grid: (ceil(k / 64), n). Deterministic.

struct Params {
  count: u32,
  k: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> keys: array<u32>;
@group(0) @binding(3) var<storage, read> chosen: array<u32>;
@group(0) @binding(4) var<storage, read_write> sorted: array<f32>;
@group(0) @binding(5) var<storage, read_write> indices: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.k) {
    return;
  }
  let row = id.y * params.k;
  let base = id.y * params.count;
  let index = chosen[row + id.x];
  let key = keys[base + index];
  var rank = 0u;
  for (var j = 0u; j < params.k; j++) {
    let other = keys[base + chosen[row + j]];
    rank += u32(other > key || (other == key && j < id.x));
  }
  sorted[row + rank] = values[base + index];
  indices[row + rank] = index;
}
