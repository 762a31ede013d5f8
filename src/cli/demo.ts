// `npm start`: finds faces in the pictures named after `--`, or in the drawn ones of fixtures/, and writes them annotated
// to out/. The weights are those in the box, or RETINAFACE_WEIGHTS.
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RetinaFaceError } from '../gpu/errors.js';
import { EXIT } from './command.js';
import { detectPictures } from './detect.js';
import { finish, guardOutput } from './output.js';

const OUT = 'out';
const BUNDLED = [1, 2, 3].map((scene) =>
  relative('.', fileURLToPath(new URL(`../../fixtures/pictures/scene_${scene}.jpg`, import.meta.url))),
);

async function demo(named: readonly string[]): Promise<number> {
  const pictures = named.length > 0 ? named : BUNDLED;
  const code = await detectPictures(pictures, {
    weights: process.env['RETINAFACE_WEIGHTS'],
    configuration: undefined,
    json: false,
    draw: OUT,
    recursive: false,
    batch: 1,
    quiet: false,
    detection: {},
  });
  const hint = named.length > 0 ? '' : ' Now one of your own: `npm start -- photo.jpg`.';
  process.stdout.write(`Annotated pictures are in ${OUT}/.${hint}\n`);
  return code;
}

guardOutput();
let code: number;
try {
  code = await demo(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof RetinaFaceError)) throw error;
  process.stderr.write(`${error.message}\n`);
  code = EXIT.failed;
}
finish(code);
