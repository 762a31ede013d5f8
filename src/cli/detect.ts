import { dirname } from 'node:path';
import { RetinaFaceError } from '../gpu/errors.js';
import { drawFaces } from '../image/draw.js';
import type { Picture } from '../image/picture.js';
import { decodeImage } from '../node/codecs.js';
import { makeFolder, readImage, writeImage } from '../node/files.js';
import { LastingModel } from '../node/lasting.js';
import type { Face } from '../image/face.js';
import { type DetectOptions, MAX_SIDE } from '../retinaface/detect_options.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { DrawnNames } from './drawn_names.js';
import { type Input, type InputOptions, listInputs, streamInputs } from './inputs.js';
import { CONFIGURATION_HELP, loadWeights, readConfiguration } from './model_options.js';
import { flag, number, parsed, readNumber, text, whole, wrong } from './options.js';
import { Progress } from './progress.js';

const fraction = { min: 0, max: 1 };

/** `retinaface detect`. */
export const detect: Command = defineCommand({
  name: 'detect',
  usage: '[options] PICTURE|FOLDER|-…',
  about: `Finds faces in PNG and JPEG pictures, upright after EXIF. A folder stands for the pictures in it, a pattern
('a/*.jpg', '**/*.png') for those that it matches, each once, and for folders where it ends with a name or a slash
('*/in', '*/'); \`-\` reads standard input: paths, a line each and answered as they come, or one picture.`,
  options: {
    weights: text({
      value: 'FILE|NAME',
      help:
        'a RetinaFace checkpoint, PyTorch or safetensors, or a name that `retinaface weights` lists (also ' +
        'RETINAFACE_WEIGHTS; without, those in the box)',
    }),
    configuration: text({ flag: 'config', value: 'NAME|FILE', help: CONFIGURATION_HELP }),
    json: flag({ help: 'one JSON line a picture, in order' }),
    draw: text({
      value: 'DIR',
      help:
        'write annotated pictures there, as PNG, below it as they lie below the folder that was named; numbered where names ' +
        'meet. Pictures that are searched are never written over',
    }),
    recursive: flag({ help: 'folders inside folders, too' }),
    scoreThreshold: number({ flag: 'score', value: 'S', ...fraction, fallback: 0.5, help: 'least score, 0 to 1' }),
    nmsThreshold: number({
      flag: 'nms',
      value: 'T',
      ...fraction,
      fallback: 0.4,
      help: 'largest overlap of two faces, 0 to 1',
    }),
    maxFaces: whole({ value: 'N', min: 1, fallback: 750, help: 'at most so many faces a picture' }),
    size: parsed(sizeOption, {
      value: 'original|N',
      help: 'pixel for pixel (in tiles where the device needs them), or fitted to N×N',
      shownDefault: 'own size, long side at most 2150',
    }),
    batch: whole({ value: 'N', min: 1, fallback: 1, help: 'pictures of one size in one pass' }),
    quiet: flag({ help: 'no words on stderr but errors' }),
  },
  notes: `A JSON line: {"file","width","height","faces":[{"score","box":{"x1","y1","x2","y2"},"landmarks":{"leftEye":{"x","y"},
"rightEye","nose","leftMouth","rightMouth"}}]}, in pixels of the upright picture; left is the picture's left.
"drawn" is added with --draw, the file written, and "cut": true where there were more faces than --max-faces.
A picture that fails gives {"file","error":{"name","message"}}, one that cannot be drawn its faces as well; the next goes
on, and the exit code is then 1.`,
  words: true,
  run({ scoreThreshold, nmsThreshold, maxFaces, size, ...values }, sources) {
    if (sources.length === 0) {
      const remedy = 'Name pictures or folders, or `-` to read paths from standard input.';
      throw wrong('detect', 'pictures', 'none', remedy);
    }
    return detectPictures(sources, {
      ...values,
      weights: values.weights ?? process.env['RETINAFACE_WEIGHTS'],
      detection: { scoreThreshold, nmsThreshold, maxFaces, ...(size === undefined ? {} : { size }) },
    });
  },
});

function sizeOption(given: string, command: string, name: string): 'original' | number {
  return given === 'original' ? given : readNumber(command, name, given, { min: 16, max: MAX_SIDE, integer: true });
}

/** What `detect` and the demo ask for. */
export interface DetectRun {
  readonly weights: string | undefined;
  /** The name of a configuration, or a JSON file. */
  readonly configuration: string | undefined;
  readonly json: boolean;
  readonly draw: string | undefined;
  readonly recursive: boolean;
  readonly batch: number;
  readonly quiet: boolean;
  readonly detection: DetectOptions;
}

/** What became of a picture: its faces, or why there are none, or both where it could not be drawn. */
interface Found {
  readonly input: Input;
  readonly picture?: Picture;
  readonly faces?: readonly Face[];
  /** There were more faces than were wanted. */
  readonly cut?: boolean;
  /** The file that it was drawn into. */
  readonly drawn?: string;
  readonly error?: RetinaFaceError;
}

/** Finds, prints and draws; answers the exit code. */
export async function detectPictures(sources: readonly string[], run: DetectRun): Promise<number> {
  const say = (words: string): void => {
    if (!run.quiet) process.stderr.write(words);
  };
  const { draw } = run;
  if (draw !== undefined) await makeFolder(draw);
  const streaming = sources.includes('-');
  const configuration = await readConfiguration(run.configuration, 'detect');
  const reading: InputOptions = {
    recursive: run.recursive,
    onSkipped: (folder, names) => {
      const some = names.slice(0, 5).join(', ');
      const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
      say(`${folder}: left out, since they are no PNG or JPEG: ${some}${more}\n`);
    },
  };
  const listed = streaming ? [] : await listInputs(sources, reading);
  const names = draw === undefined ? undefined : await DrawnNames.of(draw, listed, streaming);
  using model = new LastingModel(configuration, (loaded) => loadWeights(loaded, run.weights, run.quiet), say);
  const { driver } = await model.about();
  const progress = new Progress(listed.length, run.quiet || streaming);
  let failed = 0;
  let faces = 0;
  const start = performance.now();
  let done = 0;
  try {
    // Standard input is answered as it comes: waiting for a full batch could wait for ever.
    const inputs = streaming ? streamInputs(sources, reading) : listed;
    for await (const batch of batches(inputs, streaming ? 1 : run.batch)) {
      for (const found of await findAll(model, batch, run.detection)) {
        const result = await drawn(found, names);
        const { file } = result.input;
        done++;
        if (result.error) {
          failed++;
          if (!run.json) process.stderr.write(`${file}: ${result.error.message}\n`);
        }
        faces += result.faces?.length ?? 0;
        if (result.cut) {
          say(
            `${file}: more faces than the best ${result.faces?.length ?? 0} that are given; --max-faces N gives more\n`,
          );
        }
        process.stdout.write(run.json ? `${JSON.stringify(toJson(result))}\n` : toText(result));
      }
      progress.advance(batch.length);
    }
  } finally {
    progress.end();
  }
  const seconds = (performance.now() - start) / 1000;
  const many = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
  say(
    `${many(faces, 'face')} in ${many(done - failed, 'picture')}, ${seconds.toFixed(2)} s on ${driver}` +
      `${failed > 0 ? `; ${many(failed, 'picture')} failed` : ''}\n`,
  );
  return failed > 0 ? EXIT.failed : EXIT.done;
}

/** Faces of some pictures, in order; what one of them does wrong harms no other. */
async function findAll(model: LastingModel, inputs: readonly Input[], options: DetectOptions): Promise<Found[]> {
  const read = await Promise.all(inputs.map((input) => attempt({ input }, () => readInput(input))));
  const good = read.filter(({ picture }) => picture !== undefined);
  const search = async (some: readonly Found[]): Promise<Found[]> => {
    const cut = new Set<number>();
    const faces = await model.detect(
      some.map(({ picture }) => picture!),
      { ...options, onCut: (index) => cut.add(index) },
    );
    return some.map((found, i) => ({ ...found, faces: faces[i]!, ...(cut.has(i) ? { cut: true } : {}) }));
  };
  let searched: readonly Found[] = [];
  try {
    searched = await search(good);
  } catch (error) {
    if (!(error instanceof RetinaFaceError) || error.name === 'DeviceLostError') throw error;
    // One of the batch did not fit: each on its own tells which.
    const each: Found[] = [];
    for (const { input, ...found } of good) {
      each.push(await attempt({ input }, async () => (await search([{ input, ...found }]))[0]!));
    }
    searched = each;
  }
  return read.map((found) => searched.find(({ input }) => input === found.input) ?? found);
}

async function readInput(input: Input): Promise<Found> {
  if (input.error) throw input.error;
  const picture = input.bytes ? decodeImage(input.bytes, 'standard input') : await readImage(input.file);
  return { input, picture };
}

/** What the work answers, or what is known without it and the error. */
async function attempt(known: Found, work: () => Promise<Found>): Promise<Found> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RetinaFaceError) || error.name === 'DeviceLostError') throw error;
    return { ...known, error };
  }
}

async function drawn(found: Found, names: DrawnNames | undefined): Promise<Found> {
  const { picture, faces, input } = found;
  if (!names || !picture || !faces) return found;
  return attempt(found, async () => {
    const path = await names.next(input);
    await makeFolder(dirname(path));
    await writeImage(path, drawFaces(picture, faces));
    return { ...found, drawn: path };
  });
}

function toJson({ input: { file }, picture, faces, cut, drawn: path, error }: Found): object {
  return {
    file,
    ...(picture && faces ? { width: picture.width, height: picture.height, faces } : {}),
    ...(cut ? { cut } : {}),
    ...(path === undefined ? {} : { drawn: path }),
    ...(error ? { error: { name: error.name, message: error.message } } : {}),
  };
}

function toText({ input: { file }, faces, drawn: path }: Found): string {
  if (!faces) return '';
  const rows = faces.map(({ score, box }) => {
    const { x1, y1, x2, y2 } = box;
    return `  ${score.toFixed(4)}  ${[x1, y1, x2, y2].map((value) => value.toFixed(1).padStart(8)).join('')}\n`;
  });
  const where = path === undefined ? '' : `, drawn in ${path}`;
  return `${file}: ${faces.length} face${faces.length === 1 ? '' : 's'}${where}\n${rows.join('')}`;
}

async function* batches(
  inputs: Iterable<Input> | AsyncIterable<Input>,
  size: number,
): AsyncGenerator<readonly Input[]> {
  let batch: Input[] = [];
  for await (const input of inputs) {
    batch.push(input);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
