// A page in TypeScript, compiled against the packed library: the README's calls.
import { drawFaces, type Face, readImage, requestDevice, RetinaFace } from 'retinaface-webgpu';

export async function facesOf(file: File): Promise<readonly Face[]> {
  const device: GPUDevice = await requestDevice();
  using model = new RetinaFace(device);
  await model.load('weights/mobilenet0.25_synthetic.safetensors', { onProgress: ({ fraction }) => fraction });
  const picture = await readImage(file);
  const faces = await model.detect(picture, { scoreThreshold: 0.5 });
  drawFaces(picture, faces);
  return faces;
}
