// Gradients of batch norm's scale and shift, from the sums of the chunks; and what the gradient of its
// input needs of each channel.
//
//   grad_gamma = Σ g·x̂,  grad_beta = Σ g
//   coefficients = gamma·inverse · [1, share·inverse·grad_gamma, share·grad_beta], then the mean
//
// share = 1 / rows where the statistics came from the batch, 0 where they were given: then grad_x is gamma·inverse·g.
// sum, product [chunks, c]; coefficients [4, c]; the others [c]. One workgroup: 64 / SHARES channels. SHARES invocations add
// every SHARES-th chunk of a channel in order, then each other by a tree. Grid: ceil(c·SHARES / 64). Deterministic.

import constants::SHARES;
import package::shared::grid::flat_index;

struct Params {
  chunks: u32,
  channels: u32,
  share: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sum: array<f32>;
@group(0) @binding(2) var<storage, read> product: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> inverse: array<f32>;
@group(0) @binding(5) var<storage, read> gamma: array<f32>;
@group(0) @binding(6) var<storage, read_write> grad_gamma: array<f32>;
@group(0) @binding(7) var<storage, read_write> grad_beta: array<f32>;
@group(0) @binding(8) var<storage, read_write> coefficients: array<f32>;

const SIZE = 64u;
const CHANNELS = SIZE / SHARES;

var<workgroup> shared_sums: array<vec2f, SIZE>;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local % CHANNELS, CHANNELS);
  let channel = min(i, params.channels - 1u);
  var sums = vec2f();
  for (var chunk = local / CHANNELS; chunk < params.chunks; chunk += SHARES) {
    let at = chunk * params.channels + channel;
    sums += vec2f(sum[at], product[at]);
  }
  if (SHARES > 1) {
    shared_sums[local] = sums;
    for (var half = SIZE / 2u; half >= CHANNELS; half /= 2u) {
      workgroupBarrier();
      if (local < half) {
        shared_sums[local] += shared_sums[local + half];
      }
    }
    sums = shared_sums[local];
  }
  if (local >= CHANNELS || i >= params.channels) {
    return;
  }
  let total = sums.x;
  let weighted = sums.y;
  grad_gamma[i] = weighted;
  grad_beta[i] = total;
  let scale = gamma[i] * inverse[i];
  coefficients[i] = scale;
  coefficients[params.channels + i] = scale * params.share * inverse[i] * weighted;
  coefficients[2u * params.channels + i] = scale * params.share * total;
  coefficients[3u * params.channels + i] = mean[i];
}
