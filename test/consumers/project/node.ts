// A program for Node in TypeScript that knows the library by its Node entry alone.
import { readImage, requestDevice, RetinaFace, writeImage } from 'retinaface-webgpu/node';

const device: GPUDevice = await requestDevice();
using model = new RetinaFace(device);
await model.load();
const picture = await readImage('photo.jpg');
const [face] = await model.detect(picture);
if (face?.landmarks) console.log(face.score, face.landmarks.leftEye.x);
await writeImage('copy.png', picture);
const own: RetinaFace = await RetinaFace.create({ device });
const found = await own.detect('photo.jpg', { rotations: [0, 180] });
await own.detect([
  new Uint8Array(),
  new URL('file:///photo.jpg'),
  { data: picture.data, info: { width: 1, height: 1 } },
]);
console.log(found.length);
