// Draws a scene beside the page, which stays quick meanwhile; answers it as a PNG.
import { syntheticScene } from '../../src/browser/index.js';

const SIZE = 640;

addEventListener('message', ({ data: seed }: MessageEvent<number>) => {
  void draw(seed).then((blob) => {
    postMessage(blob);
  });
});

async function draw(seed: number): Promise<Blob> {
  const { picture } = syntheticScene(seed, 0, { size: SIZE, faces: [2, 12], faceHeights: [24, 240] });
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const pixels = new ImageData(new Uint8ClampedArray(picture.data), picture.width, picture.height);
  canvas.getContext('2d')!.putImageData(pixels, 0, 0);
  return canvas.convertToBlob({ type: 'image/png' });
}
