// The flat index of an invocation in a grid that was folded into rows because it has more workgroups than one
// dimension may hold (65,535 on a default device). See src/gpu/grid.ts.

fn flat_index(workgroup: vec3u, workgroups: vec3u, local: u32, size: u32) -> u32 {
  return (workgroup.y * workgroups.x + workgroup.x) * size + local;
}
