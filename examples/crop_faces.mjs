// Cuts every face of a picture out, turned upright with eyes and mouth in fixed places: `node crop_faces.mjs photo.jpg faces/`
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { extractFaces, readImage, requestDevice, RetinaFace, writeImage } from 'retinaface-webgpu/node';

const [photo, folder] = process.argv.slice(2);
const model = new RetinaFace(await requestDevice());
await model.load();
const picture = await readImage(photo);
const faces = await model.detect(picture, { size: 640 });
mkdirSync(folder, { recursive: true });
// As recognition networks take them: 112×112 pixels; { align: false, margin: 0.3 } cuts out the box instead.
for (const [i, face] of extractFaces(picture, faces, { size: 112 }).entries()) {
  await writeImage(join(folder, `face_${i + 1}.png`), face);
}
console.log(`${faces.length} faces in ${folder}`);
