// Weights as the gradient of a convolution's input reads them: taps reversed, input and output channels exchanged.
//
//   flipped[t, o, c] = weight[first + (count − 1 − t)·step, c, o]      separately along y and x
//
// The taps taken, `count` from `first` by `step`, are all of them for stride 1, and for a larger stride those that meet
// one residue of the input position. With groups, o counts within the group of c and c in `weight` within its group.
// weight [kh, kw, cin / groups, cout], flipped [count_y, count_x, cout / groups, cin]. @if(vectors): one group, both
// channel counts multiples of 4; one invocation: a square of 4 × 4 channels; else one number.
// Grid: input channels fastest, 64 a workgroup, folded. Moves numbers only: exact.

import package::shared::grid::flat_index;

struct Params {
  count: u32,
  cin: u32,
  group_cin: u32,
  group_cout: u32,
  cout: u32,
  kernel_w: u32,
  first_y: u32,
  first_x: u32,
  step_y: u32,
  step_x: u32,
  count_y: u32,
  count_x: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@if(vectors) @group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@if(!vectors) @group(0) @binding(1) var<storage, read> weight: array<f32>;
@if(vectors) @group(0) @binding(2) var<storage, read_write> flipped: array<vec4f>;
@if(!vectors) @group(0) @binding(2) var<storage, read_write> flipped: array<f32>;

const SIZE = 64u;

// The number in `weight` of the tap that comes `tap`-th in `flipped`.
fn source_tap(tap: u32) -> u32 {
  let y = params.first_y + (params.count_y - 1u - tap / params.count_x) * params.step_y;
  let x = params.first_x + (params.count_x - 1u - tap % params.count_x) * params.step_x;
  return y * params.kernel_w + x;
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, local, SIZE);
  if (i >= params.count) {
    return;
  }
  @if(vectors) {
    let cin4 = params.cin / 4u;
    let cout4 = params.cout / 4u;
    let c = i % cin4;
    let o = i / cin4 % cout4;
    let tap = i / cin4 / cout4;
    let source = (source_tap(tap) * params.cin + 4u * c) * cout4 + o;
    let square = mat4x4f(weight[source], weight[source + cout4], weight[source + 2u * cout4], weight[source + 3u * cout4]);
    let turned = transpose(square);
    let to = (tap * params.cout + 4u * o) * cin4 + c;
    flipped[to] = turned[0];
    flipped[to + cin4] = turned[1];
    flipped[to + 2u * cin4] = turned[2];
    flipped[to + 3u * cin4] = turned[3];
  }
  @if(!vectors) {
    let c = i % params.cin;
    let o = i / params.cin % params.group_cout;
    let tap = i / params.cin / params.group_cout;
    let column = c / params.group_cin * params.group_cout + o;
    flipped[i] = weight[(source_tap(tap) * params.group_cin + c % params.group_cin) * params.cout + column];
  }
}
