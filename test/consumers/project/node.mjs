// Finds the faces of the picture that is named, in Node and in Deno.
import { readImage, requestDevice, RetinaFace } from 'retinaface-webgpu';

const model = new RetinaFace(await requestDevice());
await model.load();
console.log(JSON.stringify(await model.detect(await readImage(process.argv[2]), { size: 320 })));
process.exit(0);
