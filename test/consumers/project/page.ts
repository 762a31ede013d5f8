// A page in TypeScript, compiled against the packed library: the README's calls.
import { drawFaces, extractFaces, type Face, readImage, requestDevice, RetinaFace } from 'retinaface-webgpu';
import { averagePrecision } from 'retinaface-webgpu/evaluate';
import { syntheticScene } from 'retinaface-webgpu/scenes';

export async function facesOf(file: File): Promise<readonly Face[]> {
  const device: GPUDevice = await requestDevice();
  using model = new RetinaFace(device);
  await model.load('weights/mobilenet0.25_synthetic.safetensors', { onProgress: ({ fraction }) => fraction });
  const picture = await readImage(file);
  const faces = await model.detect(picture, { scoreThreshold: 0.5 });
  drawFaces(picture, faces);
  return faces;
}

/** What a page has goes in as it is. */
export async function everything(
  shown: HTMLImageElement | HTMLVideoElement | HTMLCanvasElement | OffscreenCanvas | ImageBitmap | VideoFrame,
  signal: AbortSignal,
): Promise<number> {
  using model = await RetinaFace.create({ weights: 'synthetic' });
  const faces = await model.detect(shown, { signal, scales: [1, 2], rotations: [0, 90] });
  const [first] = await model.detect([await fetch('a.jpg'), new Blob(), new ImageData(8, 8), 'a.jpg', new URL('a:b')]);
  const cut = extractFaces(await readImage(shown), faces, { align: false, margin: 0.2 });
  return first!.length + cut.length;
}

/** What has entries of its own gives and takes what the library does. */
export async function measured(model: RetinaFace): Promise<number> {
  const { picture, faces } = syntheticScene(0, 0, { size: 64 });
  await model.detect(picture);
  return faces.length + averagePrecision.length;
}
