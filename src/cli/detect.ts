import { dirname } from 'node:path';
import { drawFaces } from '../image/draw.js';
import type { Picture } from '../image/picture.js';
import { makeFolder, readImage, writeImage } from '../node/files.js';
import { LastingModel } from '../node/lasting.js';
import type { Precision } from '../nn/parameter.js';
import { decodePicture } from '../node/other_codecs.js';
import type { DetectOptions } from '../retinaface/detect_options.js';
import { attempt, type Found as FoundIn, lineOf, readAll, searchAll } from '../scale/find.js';
import { readShard, WHOLE } from '../scale/shard.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { FACE_FILES, FaceFiles } from './cut_faces.js';
import { detectBatch, PART } from './detect_batch.js';
import { DETECTION_OPTIONS, detectionOf } from './detection_options.js';
import { DrawnNames } from './drawn_names.js';
import { type Input, type InputOptions, listInputs, streamInputs } from './inputs.js';
import { CONFIGURATION_HELP, loadWeights, PRECISION, readConfiguration } from './model_options.js';
import { flag, text, whole, wrong } from './options.js';
import { Progress } from './progress.js';

/** `retinaface detect`. */
export const detect: Command = defineCommand({
  name: 'detect',
  usage: '[options] PICTURE|FOLDER|-…',
  about: `Finds faces in PNG and JPEG pictures, upright after EXIF; in others that are named themselves where the package
sharp is installed. A folder stands for the PNG and JPEG pictures in it, a pattern
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
    precision: PRECISION,
    json: flag({ help: 'one JSON line a picture, in order' }),
    draw: text({
      value: 'DIR',
      help:
        'write annotated pictures there, as PNG, below it as they lie below the folder that was named; numbered where names ' +
        'meet. Pictures that are searched are never written over',
    }),
    ...FACE_FILES,
    recursive: flag({ help: 'folders inside folders, too' }),
    ...DETECTION_OPTIONS,
    batch: whole({ value: 'N', min: 1, fallback: 1, help: 'pictures of one size in one pass' }),
    quiet: flag({ help: 'no words on stderr but errors' }),
    out: text({
      heading: 'Many pictures, by any scheduler (docs/guide/batch.md):',
      value: 'DIR',
      help:
        'write JSON lines there in parts, each whole or not at all, and go on where an earlier run of the same command ' +
        'stopped; the pictures may be a list, a path a line, in a file or for `-`. Done is 0, bad pictures or not',
    }),
    shard: text({
      value: 'I/N|auto',
      help:
        'with --out: part I of N of the list, I from 0; auto: as a Kubernetes indexed job (with JOB_COMPLETIONS), a Slurm ' +
        'array or AWS Batch says, auto/N the index alone; `retinaface merge DIR` joins them',
    }),
    part: whole({ value: 'N', min: 1, fallback: PART, help: 'with --out: pictures a part' }),
  },
  notes: `A JSON line: {"file","width","height","faces":[{"score","box":{"x1","y1","x2","y2"},"landmarks":{"leftEye":{"x","y"},
"rightEye","nose","leftMouth","rightMouth"}}]}, in pixels of the upright picture; left is the picture's left.
"drawn" is added with --draw, the file written, and "cut": true where there were more faces than --max-faces.
A picture that fails gives {"file","error":{"name","message"}}, one that cannot be drawn its faces as well; the next goes
on, and the exit code is then 1.`,
  words: true,
  run({ out, shard, part, ...values }, sources) {
    if (sources.length === 0) {
      const remedy = 'Name pictures or folders, or `-` to read paths from standard input.';
      throw wrong('detect', 'pictures', 'none', remedy);
    }
    if (sources.includes('')) {
      throw wrong(
        'detect',
        'paths',
        'an empty one',
        'Look at what the shell was to put there: a variable, most often.',
      );
    }
    const run = {
      ...values,
      weights: values.weights ?? process.env['RETINAFACE_WEIGHTS'],
      detection: detectionOf(values),
    };
    if (out === undefined) {
      if (shard === undefined) return detectPictures(sources, run);
      throw wrong('detect', '--out beside --shard', 'none', 'Name a folder for the results: --out DIR.');
    }
    const files = (['draw', 'align', 'crop', 'csv'] as const).find((name) => values[name] !== undefined);
    if (files !== undefined) {
      throw wrong(
        'detect',
        `--out without --${files}`,
        'both',
        'Write those of the pictures that are wanted in another run.',
      );
    }
    return detectBatch(sources, {
      ...run,
      out,
      shard: shard === undefined ? WHOLE : readShard(shard, process.env),
      part,
    });
  },
});

/** What `detect` and the demo ask for. */
export interface DetectRun {
  readonly weights: string | undefined;
  /** The name of a configuration, or a JSON file. */
  readonly configuration: string | undefined;
  readonly precision?: Precision | undefined;
  readonly json: boolean;
  readonly draw: string | undefined;
  readonly align?: string | undefined;
  readonly crop?: string | undefined;
  readonly margin?: number;
  readonly csv?: string | undefined;
  readonly recursive: boolean;
  readonly batch: number;
  readonly quiet: boolean;
  readonly detection: DetectOptions;
}

type Found = FoundIn<Input>;

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
  const { align, crop, margin = 0, csv } = run;
  const files = await FaceFiles.of({ align, crop, margin, csv }, listed, streaming);
  using model = new LastingModel(configuration, (loaded) => loadWeights(loaded, run.weights, run.quiet), say, run);
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
      for (const found of await searchAll(model, await readAll(batch, readInput), run.detection)) {
        const result = await files.add(await drawn(found, names));
        const { file } = result.source;
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
        process.stdout.write(run.json ? `${JSON.stringify(lineOf(file, result))}\n` : toText(result));
      }
      progress.advance(batch.length);
    }
    await files.end();
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

/** The picture of an input. @throws what was wrong with it already; FileError, ImageError. */
function readInput({ file, bytes, error }: Input): Promise<Picture> {
  if (error) return Promise.reject(error);
  return bytes ? decodePicture(bytes, 'standard input') : readImage(file);
}

async function drawn(found: Found, names: DrawnNames | undefined): Promise<Found> {
  const { picture, faces, source } = found;
  if (!names || !picture || !faces) return found;
  return attempt(found, async () => {
    const path = await names.next(source);
    await makeFolder(dirname(path));
    await writeImage(path, drawFaces(picture, faces));
    return { ...found, drawn: path };
  });
}

function toText({ source: { file }, faces, drawn: path }: Found): string {
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
