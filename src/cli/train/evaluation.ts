import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { formatJsonLines } from '../../data/labels.js';
import { evaluateModel } from '../../evaluate/evaluate_model.js';
import { type GroundTruth, groundTruthFromSamples } from '../../evaluate/ground_truth.js';
import {
  evaluateHeights,
  type HeightEvaluation,
  heightName,
  LANDMARK_HEIGHT,
  meanPrecision,
} from '../../evaluate/heights.js';
import { writeText } from '../../node/evaluate_report.js';
import { readBytes } from '../../node/files.js';
import { RetinaFace } from '../../node/retinaface.js';
import { readWeightsOption } from '../model_options.js';
import type { HeldPictures } from './sources.js';

/** Pictures of one size that are searched in one pass. */
const BATCH = 4;

/** What an evaluation says in few numbers, by their names in the log. */
export type HeldFigures = Readonly<Record<string, number>>;

/** Measures networks on what a training keeps out. */
export class HeldEvaluation {
  readonly #held: HeldPictures;
  readonly #groundTruth: GroundTruth;

  constructor(held: HeldPictures) {
    this.#held = held;
    this.#groundTruth = groundTruthFromSamples(held.samples);
  }

  /** Pictures that are kept out. */
  get length(): number {
    return this.#held.source.length;
  }

  /** Average precision by heights, and the error of landmarks, by the published protocol at the pictures' own size. */
  async measure(model: RetinaFace): Promise<{ readonly figures: HeldFigures; readonly mean: number }> {
    const { predictions } = await evaluateModel(model, this.#held.source, this.#groundTruth, { batch: BATCH });
    const heights = evaluateHeights(this.#groundTruth, predictions);
    return { figures: figuresOf(heights), mean: meanPrecision(heights) };
  }

  /**
   * The figures of other weights, as `--weights` takes them, on the same pictures, measured once and kept in `path`.
   * @throws what reading weights throws.
   */
  async compare(
    device: GPUDevice,
    weights: string,
    { path, say, quiet }: { readonly path: string; readonly say: (words: string) => void; readonly quiet: boolean },
  ): Promise<HeldFigures> {
    const { bytes } = await readWeightsOption(weights, quiet);
    const sha = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');
    const of = { weights: sha(bytes), pictures: sha(formatJsonLines(this.#held.samples)) };
    const kept = await keptFigures(path);
    if (kept?.weights === of.weights && kept.pictures === of.pictures) return kept.figures;
    say(`${weights} is measured on the pictures kept out\n`);
    using model = new RetinaFace(device);
    await model.load(bytes);
    const { figures } = await this.measure(model);
    await writeText(path, `${JSON.stringify({ ...of, figures })}\n`);
    return figures;
  }
}

interface KeptFigures {
  readonly weights: string;
  readonly pictures: string;
  readonly figures: HeldFigures;
}

/** What was kept before; nothing where it cannot be read, for it can be measured again. */
export async function keptFigures(path: string): Promise<KeptFigures | undefined> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(await readBytes(path, 'read figures')));
    const { weights, pictures, figures } = value as Partial<Record<keyof KeptFigures, unknown>>;
    if (typeof weights !== 'string' || typeof pictures !== 'string' || !isObject(figures)) return undefined;
    // Of no faces there is no precision: NaN, which JSON has as null.
    const entries = Object.entries(figures).map(([name, number]) => [name, number === null ? NaN : number] as const);
    if (!entries.every((entry): entry is [string, number] => typeof entry[1] === 'number')) return undefined;
    return { weights, pictures, figures: Object.fromEntries(entries) };
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

const LANDMARKS = `landmarks from ${LANDMARK_HEIGHT} px`;

function figuresOf({ precisions, landmarks }: HeightEvaluation): HeldFigures {
  return {
    ...Object.fromEntries(
      precisions.map(({ least, averagePrecision }) => [
        least === 0 ? 'AP' : `AP ${heightName(least)}`,
        averagePrecision,
      ]),
    ),
    ...(landmarks ? { [LANDMARKS]: landmarks.meanError } : {}),
  };
}

/** Figures in words: `0.7123 from 50 px, 0.5012 from 24 px, 0.2310 all, landmarks 5.10% of √(w·h)`. */
export function figuresText(figures: HeldFigures): string {
  const words = Object.entries(figures).map(([name, value]) => {
    if (name === LANDMARKS) return `${name} ${(100 * value).toFixed(2)}% of √(w·h)`;
    return `${Number.isNaN(value) ? 'none' : value.toFixed(4)} ${name === 'AP' ? 'all' : name.slice('AP '.length)}`;
  });
  return words.join(', ');
}

/** The figures of other weights as the log has them beside a training's own. */
export function comparedEntries(figures: HeldFigures, weights: string): HeldFigures {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${name}, ${basename(weights)}`, value]));
}
