// Finds the faces of the picture that is named, in a CommonJS program.
const { readImage, requestDevice, RetinaFace } = require('retinaface-webgpu');

(async () => {
  const model = new RetinaFace(await requestDevice());
  await model.load();
  console.log(JSON.stringify(await model.detect(await readImage(process.argv[2]), { size: 320 })));
  process.exit(0);
})();
