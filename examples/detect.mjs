// Finds the faces of pictures: `node detect.mjs photo.jpg …`
import { readImage, requestDevice, RetinaFace } from 'retinaface-webgpu';

const model = new RetinaFace(await requestDevice());
await model.load();
for (const path of process.argv.slice(2)) {
  const faces = await model.detect(await readImage(path), { scoreThreshold: 0.5, size: 640 });
  console.log(JSON.stringify({ path, faces }));
}
model.dispose();
