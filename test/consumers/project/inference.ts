// A page in TypeScript that finds faces and trains nothing.
import { type Face, readImage, requestDevice, RetinaFace } from 'retinaface-webgpu/inference';

export async function facesOf(file: File): Promise<readonly Face[]> {
  using model = new RetinaFace(await requestDevice());
  await model.load();
  return model.detect(await readImage(file));
}
