// `npm start`: finds faces in the pictures named after `--`, and writes them annotated to out/. Weights come from
// RETINAFACE_WEIGHTS; without them it says what this machine has and how to get some.
import { RetinaFaceError } from '../gpu/errors.js';
import { EXIT } from './command.js';
import { detectPictures } from './detect.js';
import { diagnosis } from './doctor.js';

async function demo(pictures: readonly string[]): Promise<number> {
  const weights = process.env['RETINAFACE_WEIGHTS'];
  if (weights === undefined || pictures.length === 0) {
    process.stdout.write(await diagnosis());
    process.stdout.write(`
This machine is ready. ${weights === undefined ? 'Weights are not part of the package yet.' : 'Name a picture to search.'}

  1. Get a checkpoint: \`mobilenet0.25_Final.pth\` or \`Resnet50_Final.pth\` of github.com/biubug6/Pytorch_Retinaface
  2. RETINAFACE_WEIGHTS=mobilenet0.25_Final.pth npm start -- photo.jpg
     finds the faces and writes out/photo.png
`);
    return EXIT.done;
  }
  return detectPictures(pictures, {
    weights,
    configuration: undefined,
    json: false,
    draw: 'out',
    batch: 1,
    quiet: false,
    detection: {},
  });
}

let code: number;
try {
  code = await demo(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof RetinaFaceError)) throw error;
  process.stderr.write(`${error.message}\n`);
  code = EXIT.failed;
}
process.stdout.write('', () => process.exit(code));
