// What the adapter's memory gives: the triad of STREAM (McCalpin 1995).
//
//   y = a + factor·b
//
// a, b, y [n] as vec4, n a multiple of 4 and known by their size. One invocation: a vec4. Grid: 64 a workgroup, folded.

struct Params {
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.y * workgroups.x + workgroup.x) * 64u + local;
  if (i < arrayLength(&y)) {
    y[i] = a[i] + params.factor * b[i];
  }
}
