// The k greatest keys of each row that are not 0, ties by lower index, in any order: exact radix select by digits of 8 bits.
//
// A key is compared as (key, place), where the place is counted from the end of the row: no two are equal. A pass counts those
// that begin with the digits found so far by their next one; from the greatest down, the digit is found where the counts reach
// what is wanted. A row is settled, and the passes left do nothing, once all are wanted that begin with the digits found: most
// often soon, because of faces few anchors are candidates.
//
// keys [n, count]; totals [n, 8, 256] and counts [n], zeros before; cuts [n, 10] as `cut` below, of which pass i begins with
// number i, and what the first wants is added to k; chosen [n, count] pairs (key, index), the first counts[n] of each row.
// Counts are integers, and sorting has one result, so the order of the atomics does not show.
//
// Several workgroups a row: pass `last`, whose counts are added to the totals and left to the next dispatch; the ninth takes
// what is not below the cut. One workgroup a row: all passes, up to `last` = 8. Grid: (workgroups a row, n).

struct Params {
  count: u32,
  k: u32,
  last: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> totals: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> cuts: array<vec3u>;
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> chosen: array<vec2u>;

const SIZE = 256u;
const DIGITS = 8u; // of a key and its place
const ALL = 0xffffffffu; // wanted of a settled row

var<workgroup> bins: array<atomic<u32>, SIZE>;
// The least (key, place) that may be taken, and how many are wanted of those that begin with the digits found so far.
var<workgroup> cut: vec3u;

// The next digit of the cut, from the bins. One invocation.
fn find(digit: u32) {
  var bin = SIZE - 1u;
  while (bin > 0u && atomicLoad(&bins[bin]) < cut.z) {
    cut.z -= atomicLoad(&bins[bin]);
    bin--;
  }
  cut[digit / 4u] |= bin << (24u - digit % 4u * 8u);
  if (atomicLoad(&bins[bin]) <= cut.z) {
    cut.z = ALL;
  }
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = id.y * params.count;
  let row_cuts = id.y * (DIGITS + 2u);
  let step = SIZE * workgroups.x;
  let first = select(params.last, 0u, workgroups.x == 1u);
  if (local == 0u) {
    cut = cuts[row_cuts + first];
    cut.z += select(0u, params.k, first == 0u);
  }
  var known: vec3u;
  for (var digit = first; digit <= params.last; digit++) {
    let total = (id.y * DIGITS + digit) * SIZE + local;
    if (digit > 0u) {
      if (digit == first) {
        atomicStore(&bins[local], atomicLoad(&totals[total - SIZE]));
      }
      workgroupBarrier();
      if (local == 0u && cut.z != ALL) {
        find(digit - 1u);
      }
    }
    known = workgroupUniformLoad(&cut);
    if (known.z == ALL || digit == DIGITS) {
      break;
    }
    atomicStore(&bins[local], 0u);
    workgroupBarrier();
    for (var i = id.x; i < params.count; i += step) {
      let key = keys[row + i];
      let own = select(params.count - 1u - i, key, digit < 4u);
      let next = (own ^ known[digit / 4u]) >> (24u - digit % 4u * 8u);
      if (key != 0u && (digit < 4u || key == known.x) && next < SIZE) {
        atomicAdd(&bins[next], 1u);
      }
    }
    workgroupBarrier();
    if (digit == params.last) {
      atomicAdd(&totals[total], atomicLoad(&bins[local]));
    }
  }
  if (id.x == 0u) {
    cuts[row_cuts + params.last + 1u] = known;
  }
  for (var i = id.x; i < params.count && params.last == DIGITS; i += step) {
    let key = keys[row + i];
    if (key != 0u && (key > known.x || (key == known.x && params.count - 1u - i >= known.y))) {
      chosen[row + atomicAdd(&counts[id.y], 1u)] = vec2u(key, i);
    }
  }
}
