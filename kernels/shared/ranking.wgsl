// Chosen keys in descending order, ties by index: what the kernels that sort by ranks share, with the bindings that they read.
//
// chosen [n, count] pairs (key, index) in any order, of which the first counts[n] of each row are there.

@group(0) @binding(1) var<storage, read> chosen: array<vec2u>;
@group(0) @binding(2) var<storage, read> counts: array<u32>;

// The number of keys of a row that come before its own, where `first` is the row's first.
fn rank_of(own: vec2u, first: u32, count: u32) -> u32 {
  var rank = 0u;
  for (var j = first; j < first + count; j++) {
    let other = chosen[j];
    rank += u32(other.x > own.x || (other.x == own.x && other.y < own.y));
  }
  return rank;
}
