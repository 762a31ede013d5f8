import { mkdir, readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { FileError, ImageError, RetinaFaceError } from '../gpu/errors.js';
import { drawFaces } from '../image/draw.js';
import type { Picture } from '../image/picture.js';
import { requestDevice } from '../node/device.js';
import { readImage, writeImage } from '../node/files.js';
import { RetinaFace } from '../node/retinaface.js';
import { type ConfigurationName } from '../retinaface/config.js';
import type { Face } from '../image/face.js';
import type { DetectOptions } from '../retinaface/detect_options.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { flag, number, parsed, readNumber, text, whole, wrong } from './options.js';
import { Progress } from './progress.js';

const PICTURES = new Set(['.jpg', '.jpeg', '.png']);

const fraction = { min: 0, max: 1 };

/** `retinaface detect`. */
export const detect: Command = defineCommand({
  name: 'detect',
  usage: '[options] PICTURE|FOLDER|-…',
  about: `Finds faces in PNG and JPEG pictures, upright after EXIF. A folder stands for the pictures in it; \`-\` reads
paths from standard input, a line each, and answers each as it comes.`,
  options: {
    weights: text({
      value: 'FILE',
      help: 'a RetinaFace checkpoint: PyTorch or safetensors (also RETINAFACE_WEIGHTS; without, those in the box)',
    }),
    configuration: text({ flag: 'config', value: 'NAME', help: 'the network; recognised from the weights by default' }),
    json: flag({ help: 'one JSON line a picture, in order' }),
    draw: text({ value: 'DIR', help: 'write annotated pictures there' }),
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
      help: 'pixel for pixel, or fitted to N×N',
      shownDefault: 'own size, long side at most 2150',
    }),
    batch: whole({ value: 'N', min: 1, fallback: 1, help: 'pictures of one size in one pass' }),
    quiet: flag({ help: 'no words on stderr but errors' }),
  },
  notes: `A JSON line: {"file","width","height","faces":[{"score","box":{"x1","y1","x2","y2"},"landmarks":{"leftEye":{"x","y"},
"rightEye","nose","leftMouth","rightMouth"}}]}, in pixels of the upright picture; left is the picture's left.
A picture that fails gives {"file","error":{"name","message"}}, and the next goes on; the exit code is then 1.`,
  words: true,
  run({ scoreThreshold, nmsThreshold, maxFaces, size, ...values }, sources) {
    if (sources.length === 0) {
      const remedy = 'Name pictures or folders, or `-` to read paths from standard input.';
      throw wrong('detect', 'pictures', 'none', remedy);
    }
    return detectPictures(sources, {
      ...values,
      weights: values.weights ?? process.env['RETINAFACE_WEIGHTS'],
      configuration: values.configuration as ConfigurationName | undefined,
      detection: { scoreThreshold, nmsThreshold, maxFaces, ...(size === undefined ? {} : { size }) },
    });
  },
});

function sizeOption(given: string, command: string, name: string): 'original' | number {
  return given === 'original' ? given : readNumber(command, name, given, { min: 16, integer: true });
}

/** What `detect` and the demo ask for. */
export interface DetectRun {
  readonly weights: string | undefined;
  readonly configuration: ConfigurationName | undefined;
  readonly json: boolean;
  readonly draw: string | undefined;
  readonly batch: number;
  readonly quiet: boolean;
  readonly detection: DetectOptions;
}

type Found = { readonly file: string } & (
  { readonly picture: Picture; readonly faces: readonly Face[] } | { readonly error: RetinaFaceError }
);

/** Finds, prints and draws; answers the exit code. */
export async function detectPictures(sources: readonly string[], run: DetectRun): Promise<number> {
  const say = (words: string): void => {
    if (!run.quiet) process.stderr.write(words);
  };
  if (run.draw !== undefined) await makeFolder(run.draw);
  const streaming = sources.includes('-');
  const listed = streaming ? [] : await expand(sources);
  const device = await requestDevice();
  using model = new RetinaFace(device, run.configuration);
  await model.load(run.weights);
  const progress = new Progress(listed.length, run.quiet || streaming);
  let failed = 0;
  let faces = 0;
  const start = performance.now();
  let done = 0;
  try {
    // Standard input is answered as it comes: waiting for a full batch could wait for ever.
    for await (const files of batches(streaming ? paths(sources) : listed, streaming ? 1 : run.batch)) {
      for (const found of await findAll(model, files, run.detection)) {
        const result = await drawn(found, run.draw);
        done++;
        if ('error' in result) {
          failed++;
          if (!run.json) process.stderr.write(`${result.file}: ${result.error.message}\n`);
        } else faces += result.faces.length;
        process.stdout.write(run.json ? `${JSON.stringify(toJson(result))}\n` : toText(result));
      }
      progress.advance(files.length);
    }
  } finally {
    progress.end();
  }
  const seconds = (performance.now() - start) / 1000;
  const many = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
  say(
    `${many(faces, 'face')} in ${many(done - failed, 'picture')}, ${seconds.toFixed(2)} s on ${model.gpu.info.description}` +
      `${failed > 0 ? `; ${many(failed, 'picture')} failed` : ''}\n`,
  );
  return failed > 0 ? EXIT.failed : EXIT.done;
}

/** Faces of some pictures, in order; what one of them does wrong harms no other. */
async function findAll(model: RetinaFace, files: readonly string[], options: DetectOptions): Promise<Found[]> {
  const read = await Promise.all(
    files.map(async (file) => attempt(file, async () => ({ file, picture: await readImage(file), faces: [] }))),
  );
  const good = read.filter((item) => 'picture' in item);
  let faces: readonly Face[][] | undefined;
  try {
    faces = await model.detect(
      good.map(({ picture }) => picture),
      options,
    );
  } catch (error) {
    if (!(error instanceof RetinaFaceError) || error.name === 'DeviceLostError') throw error;
  }
  const results: Found[] = [];
  for (const item of read) {
    if ('error' in item) results.push(item);
    else if (faces) results.push({ ...item, faces: faces[good.indexOf(item)] ?? [] });
    // One of the batch did not fit: each on its own tells which.
    else
      results.push(
        await attempt(item.file, async () => ({ ...item, faces: await model.detect(item.picture, options) })),
      );
  }
  return results;
}

async function attempt(file: string, work: () => Promise<Found>): Promise<Found> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RetinaFaceError) || error.name === 'DeviceLostError') throw error;
    return { file, error };
  }
}

async function drawn(found: Found, folder: string | undefined): Promise<Found> {
  if (folder === undefined || 'error' in found) return found;
  return attempt(found.file, async () => {
    const name = `${basename(found.file, extname(found.file))}.png`;
    await writeImage(join(folder, name), drawFaces(found.picture, found.faces));
    return found;
  });
}

function toJson(found: Found): object {
  const { file } = found;
  if ('error' in found) return { file, error: { name: found.error.name, message: found.error.message } };
  const { width, height } = found.picture;
  return { file, width, height, faces: found.faces };
}

function toText(found: Found): string {
  if ('error' in found) return '';
  const rows = found.faces.map(({ score, box }) => {
    const { x1, y1, x2, y2 } = box;
    return `  ${score.toFixed(4)}  ${[x1, y1, x2, y2].map((value) => value.toFixed(1).padStart(8)).join('')}\n`;
  });
  return `${found.file}: ${found.faces.length} face${found.faces.length === 1 ? '' : 's'}\n${rows.join('')}`;
}

/** Pictures named, and those in folders named, in order. */
async function expand(sources: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const source of sources) {
    const isFolder = await stat(source).then(
      (info) => info.isDirectory(),
      () => false,
    );
    if (!isFolder) {
      // What is missing or no picture is told when it is read.
      files.push(source);
      continue;
    }
    const inside = (await readdir(source)).filter((name) => PICTURES.has(extname(name).toLowerCase())).sort();
    if (inside.length === 0) {
      throw new ImageError({
        operation: 'detect',
        expected: `pictures (${[...PICTURES].join(', ')}) in ${source}`,
        got: 'a folder without any',
        remedy: 'Name a folder that holds pictures; folders inside it are not searched.',
      });
    }
    files.push(...inside.map((name) => join(source, name)));
  }
  return files;
}

/** The sources, with the lines of standard input in the place of `-`. */
async function* paths(sources: readonly string[]): AsyncGenerator<string> {
  for (const source of sources) {
    if (source !== '-') yield* await expand([source]);
    else for await (const line of createInterface({ input: process.stdin })) if (line.trim() !== '') yield line.trim();
  }
}

async function* batches(
  files: Iterable<string> | AsyncIterable<string>,
  size: number,
): AsyncGenerator<readonly string[]> {
  let batch: string[] = [];
  for await (const file of files) {
    batch.push(file);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    throw new FileError({
      operation: `write pictures to ${folder}`,
      expected: 'a folder that can be made',
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Name another folder with --draw.',
      cause,
    });
  }
}
