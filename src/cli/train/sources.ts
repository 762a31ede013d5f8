import { createHash } from 'node:crypto';
import { basename, extname, join } from 'node:path';
import { HOLDOUT_RULE, isHeldOut } from '../../data/holdout.js';
import { formatJsonLines } from '../../data/labels.js';
import { mixtureLength } from '../../data/mixture.js';
import type { PictureSource, Sample } from '../../data/sample.js';
import { syntheticSource } from '../../data/synthetic.js';
import { ArgumentError, FileError, RetinaFaceError } from '../../gpu/errors.js';
import { writeText } from '../../node/evaluate_report.js';
import { makeFolder } from '../../node/files.js';
import { readLabels } from '../../node/label_files.js';
import { folderSource, type WeightedSource } from '../../node/picture_loader.js';
import type { LabelledPictures, ScenesOption } from './options.js';

/** What separates the scenes of an evaluation from those of the training. */
const EVALUATION_SEED = 0x5eed;

/** What a training is to learn from. */
export interface SourcesOptions {
  readonly labels: readonly LabelledPictures[];
  readonly scenes: ScenesOption | undefined;
  /** Edge of the scenes, in pixels, and of those of an evaluation. */
  readonly sceneSize: number;
  readonly heldSceneSize: number;
  /** Share of the pictures that is kept out of training. */
  readonly holdout: number;
  /** Scenes of an evaluation, where there are no other pictures. */
  readonly evaluationScenes: number;
  readonly seed: number;
}

/** The pictures of one file of labels. */
interface LabelledSource {
  /** A short name, the source's own: its file's. */
  readonly name: string;
  readonly file: string;
  readonly folder: string;
  readonly weight: number;
  readonly learnt: readonly Sample[];
  readonly held: readonly Sample[];
}

/** What a training learns from, and what is kept out of it. */
export class TrainingSources {
  readonly #options: SourcesOptions;
  readonly #labelled: readonly LabelledSource[];
  /** In words, what is neither learnt nor held out. */
  readonly omitted: string[];

  private constructor(options: SourcesOptions, labelled: readonly LabelledSource[], omitted: string[]) {
    this.#options = options;
    this.#labelled = labelled;
    this.omitted = omitted;
  }

  /**
   * Reads all labels and parts their pictures.
   * @throws ArgumentError where nothing is left to learn or, though asked for, to hold out; what `readLabels` throws.
   */
  static async read(options: SourcesOptions, say: (words: string) => void): Promise<TrainingSources> {
    const omitted: string[] = [];
    const labelled: LabelledSource[] = [];
    for (const { path, images, weight, holdout } of options.labels) {
      const { samples, dropped, file, directory } = await readLabels(path);
      if (dropped > 0) {
        say(`${file}: ${dropped} faces left out, their boxes are empty or too small\n`);
        omitted.push(`${dropped} faces left out as empty or too small`);
      }
      const parted = holdout ?? samples.some(({ faces }) => faces.length > 0);
      const isHeld = ({ name }: Sample): boolean => parted && isHeldOut(name, options.holdout);
      const learnt = samples.filter((sample) => !isHeld(sample));
      if (learnt.length === 0) {
        const got = samples.length === 0 ? 'none' : `all ${samples.length} held out`;
        throw problem(`pictures of ${file} to learn from`, got, 'Check the labels, or hold a smaller share out.');
      }
      const taken = new Set(labelled.map(({ name }) => name));
      const stem = basename(file, extname(file));
      let name = stem;
      for (let k = 2; taken.has(name); k++) name = `${stem}-${k}`;
      labelled.push({ name, file, folder: images ?? directory, weight, learnt, held: samples.filter(isHeld) });
    }
    if (options.holdout > 0 && options.labels.length > 0 && labelled.every(({ held }) => held.length === 0)) {
      const share = percent(options.holdout);
      throw problem(
        `pictures among ${share} of all`,
        'none',
        'Raise --holdout, or leave it out to train without evaluation.',
      );
    }
    return new TrainingSources(options, labelled, omitted);
  }

  /** What the loader draws from. */
  get training(): readonly WeightedSource[] {
    const { scenes, sceneSize, seed } = this.#options;
    const pictures = this.#labelled.map(({ folder, learnt, weight }): WeightedSource => ({
      source: { kind: 'folder', directory: folder, samples: learnt },
      weight,
    }));
    if (!scenes) return pictures;
    const source = { kind: 'synthetic', seed, count: scenes.count, options: { size: sceneSize } } as const;
    return [...pictures, { source, weight: this.#sceneWeight(scenes) }];
  }

  /** Whether some picture has no face: a loss must learn of it. */
  get faceless(): boolean {
    return this.#labelled.some(({ learnt }) => learnt.some(({ faces }) => faces.length === 0));
  }

  /** What this training learns from and what it must not see, as a number: other labels are another training. */
  get digest(): string {
    const hash = createHash('sha256');
    for (const { learnt, held } of this.#labelled) hash.update(formatJsonLines([...learnt, ...held]));
    return hash.digest('hex').slice(0, 16);
  }

  /** By which rule which share is held out; undefined where nothing is. */
  get rule(): string | undefined {
    const { labels, holdout } = this.#options;
    return labels.length > 0 && holdout > 0 ? `${HOLDOUT_RULE}, share ${holdout}` : undefined;
  }

  /** Each source in a line: pictures, faces and faces with landmarks, learnt and held out, and draws in an epoch. */
  table(): string {
    const { scenes } = this.#options;
    const number = (value: number): string => value.toLocaleString('en');
    const counts = (samples: readonly Sample[]): string[] => {
      const faces = samples.flatMap((sample) => sample.faces);
      return [samples.length, faces.length, faces.filter(({ landmarks }) => landmarks).length].map(number);
    };
    const draws = (length: number, weight: number): string => number(mixtureLength([{ length, weight }]));
    const rows = this.#labelled.map(({ name, learnt, held, weight }) => [
      name,
      ...counts(learnt),
      ...counts(held),
      draws(learnt.length, weight),
    ]);
    if (scenes) {
      rows.push([
        'scenes',
        number(scenes.count),
        ...Array<string>(5).fill(''),
        draws(scenes.count, this.#sceneWeight(scenes)),
      ]);
    }
    const columns = ['pictures', 'faces', 'landmarks'];
    const head = ['source', ...columns, ...columns.map((column) => `held ${column}`), 'draws an epoch'];
    const lines = [head, ...rows];
    const widths = head.map((_, k) => Math.max(...lines.map((line) => line[k]!.length)));
    return lines
      .map((line) => line.map((cell, k) => (k === 0 ? cell.padEnd(widths[k]!) : cell.padStart(widths[k]!))).join('  '))
      .map((line) => `${line.trimEnd()}\n`)
      .join('');
  }

  /**
   * What is kept out, for evaluation: pictures that can be read, or, of a training on scenes alone, others of them; undefined
   * where nothing is. @throws FileError where none of the pictures can be read.
   */
  async held(say: (words: string) => void): Promise<HeldPictures | undefined> {
    const { scenes, seed, evaluationScenes, heldSceneSize, holdout } = this.#options;
    if (this.#labelled.length === 0) {
      if (!scenes) return undefined;
      const source = syntheticSource(seed + EVALUATION_SEED, evaluationScenes, { size: heldSceneSize });
      const samples = Array.from({ length: source.length }, (_, i) => ({
        name: source.name(i),
        faces: source.faces(i),
      }));
      return { source, samples, bySource: [] };
    }
    if (holdout === 0) return undefined;
    const all = this.#labelled.reduce((sum, { held }) => sum + held.length, 0);
    const bySource: HeldSource[] = [];
    let first: RetinaFaceError | undefined;
    for (const { name, folder, held } of this.#labelled) {
      if (held.length === 0) continue;
      const readable = await readableOf(folder, held, (sample, error) => {
        first ??= error;
        say(`held-out ${sample} is left out: ${error.message}\n`);
      });
      if (readable.length > 0) bySource.push({ name, samples: readable, source: folderSource(folder, readable) });
    }
    const readable = bySource.reduce((sum, { samples }) => sum + samples.length, 0);
    if (readable < all) this.omitted.push(`${all - readable} of ${all} held-out pictures left out as unreadable`);
    if (readable > 0) return joined(bySource);
    throw new FileError({
      operation: 'train --holdout',
      expected: `to read at least one of ${all} held-out pictures`,
      got: `none (${first?.message ?? ''})`,
      remedy: 'Check the folder of pictures and the names in the labels, or leave --holdout out.',
      cause: first,
    });
  }

  /** Writes the labels of the pictures that are held out, a file for each source. @throws FileError. */
  async writeHeld(folder: string, held?: HeldPictures): Promise<void> {
    const lists = held?.bySource ?? this.#labelled.map(({ name, held: samples }) => ({ name, samples }));
    for (const { name, samples } of lists) {
      if (samples.length === 0) continue;
      await makeFolder(folder);
      await writeText(join(folder, `${name}.jsonl`), formatJsonLines(samples));
    }
  }

  #sceneWeight({ count, share }: ScenesOption): number {
    if (share === undefined) return 1;
    const others = mixtureLength(this.#labelled.map(({ learnt: { length }, weight }) => ({ length, weight })));
    return Math.max(1, (share / (1 - share)) * others) / count;
  }
}

interface HeldSource {
  readonly name: string;
  readonly samples: readonly Sample[];
  readonly source: PictureSource;
}

/** Pictures to be measured on. */
export interface HeldPictures {
  readonly source: PictureSource;
  /** Of the same pictures, in the same order, under the names of that source. */
  readonly samples: readonly Sample[];
  /** The pictures of labels by their sources, under the names of those. */
  readonly bySource: readonly HeldSource[];
}

/** Several sources as one; the names of each stand below its own, for two may have a picture of one name. */
function joined(sources: readonly HeldSource[]): HeldPictures {
  const [only, second] = sources;
  if (only && !second) return { source: only.source, samples: only.samples, bySource: sources };
  const places = sources.flatMap(({ source, samples }) => samples.map((_, at) => ({ source, at })));
  const samples = sources.flatMap((held) =>
    held.samples.map(({ name, faces }) => ({ name: `${held.name}/${name}`, faces })),
  );
  const source: PictureSource = {
    length: samples.length,
    name: (index) => samples[index]!.name,
    faces: (index) => samples[index]!.faces,
    load: (index) => places[index]!.source.load(places[index]!.at),
  };
  return { source, samples, bySource: sources };
}

/** The pictures that can be read: one that cannot would end the run at every evaluation. */
async function readableOf(
  folder: string,
  samples: readonly Sample[],
  onUnreadable: (name: string, error: RetinaFaceError) => void,
): Promise<readonly Sample[]> {
  const source = folderSource(folder, samples);
  const readable: Sample[] = [];
  for (const [i, sample] of samples.entries()) {
    try {
      await source.load(i);
      readable.push(sample);
    } catch (error) {
      if (!(error instanceof RetinaFaceError)) throw error;
      onUnreadable(sample.name, error);
    }
  }
  return readable;
}

function problem(expected: string, got: string, remedy: string): ArgumentError {
  return new ArgumentError({ operation: 'train', expected, got, remedy });
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(6))}%`;
}
