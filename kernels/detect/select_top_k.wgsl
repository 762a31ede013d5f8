// The k greatest non-zero keys of each row, ties by lower index: exact radix select, four passes of 8 bits.
// keys: [n, count]; chosen: [n, k], indices in rising order; counts: [n].
// One workgroup: one row. Histograms are integers, so the order of the atomics does not show. Grid: n.

struct Params {
  count: u32,
  k: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> chosen: array<u32>;
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;

const SIZE = 256u;
var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> prefix: u32;
var<workgroup> wanted: u32;
var<workgroup> above: array<u32, 256>;
var<workgroup> equal: array<u32, 256>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.x;
  let base = row * params.count;
  if (local == 0u) {
    prefix = 0u;
    wanted = params.k;
  }
  for (var pass_index = 0u; pass_index < 4u; pass_index++) {
    let shift = 24u - 8u * pass_index;
    atomicStore(&histogram[local], 0u);
    workgroupBarrier();
    let known = prefix;
    for (var i = local; i < params.count; i += SIZE) {
      let key = keys[base + i];
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
  // `prefix` is now the k-th greatest key, `wanted` how many equal to it are taken; 0 where fewer than k exist.
  let cut = prefix;
  let quota = wanted;
  let share = (params.count + SIZE - 1u) / SIZE;
  let first = min(local * share, params.count);
  let last = min(first + share, params.count);
  var more = 0u;
  var same = 0u;
  for (var i = first; i < last; i++) {
    let key = keys[base + i];
    more += u32(key > cut);
    same += u32(key == cut && key != 0u);
  }
  above[local] = more;
  equal[local] = same;
  workgroupBarrier();
  var taken = 0u;
  var ties = 0u;
  for (var j = 0u; j < local; j++) {
    taken += above[j];
    ties += equal[j];
  }
  var at = row * params.k + taken + min(ties, quota);
  for (var i = first; i < last; i++) {
    let key = keys[base + i];
    let tie = key == cut && key != 0u;
    if (key > cut || (tie && ties < quota)) {
      chosen[at] = i;
      at++;
    }
    ties += u32(tie);
  }
  if (local == SIZE - 1u) {
    counts[row] = at - row * params.k;
  }
}
