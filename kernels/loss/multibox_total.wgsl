// The loss of one set of heads from its three parts.
//
//   total = λ_class·class + λ_box·box + λ_landmarks·landmarks,  parts = (class, box, landmarks)      report §3.5
//
// class_loss, box_loss, landmark_loss (@if(landmarks), else 0) [1]; parts [3]; total [1]. One invocation. Grid: 1.

struct Params {
  class_weight: f32,
  box_weight: f32,
  landmark_weight: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> class_loss: array<f32>;
@group(0) @binding(2) var<storage, read> box_loss: array<f32>;
@if(landmarks) @group(0) @binding(3) var<storage, read> landmark_loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> parts: array<f32>;
@group(0) @binding(5) var<storage, read_write> total: array<f32>;

@compute @workgroup_size(1)
fn main() {
  var points = 0.0;
  @if(landmarks) {
    points = landmark_loss[0];
  }
  parts[0] = class_loss[0];
  parts[1] = box_loss[0];
  parts[2] = points;
  total[0] = params.class_weight * class_loss[0] + params.box_weight * box_loss[0] + params.landmark_weight * points;
}
