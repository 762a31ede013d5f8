// A network that learns to find faces on drawn scenes, step by step: all of the second room but its looks. Runs in a worker
// of the page.
import {
  type Configuration,
  configurations,
  type DetectOptions,
  drawAugmentation,
  evaluateModel,
  type Face,
  groundTruthFromSamples,
  type LabelledFace,
  type Losses,
  narrowed,
  parseSchedule,
  type Picture,
  plannedBatch,
  PUBLISHED_LOSS,
  randomOf,
  RetinaFace,
  syntheticScene,
  syntheticSource,
  Trainer,
  writeSafetensors,
} from '../../src/browser/index.js';

/** A drawn picture with the faces that are on it. */
export interface Scene {
  readonly name: string;
  readonly picture: Picture;
  readonly faces: readonly LabelledFace[];
}

/** How well the network does on scenes that it never learns from. */
export interface Exam {
  /** Average precision, 0 to 1. */
  readonly precision: number;
  /** Of each scene of the exam, what the network finds there: faces that score more than `SHOWN_SCORE`. */
  readonly found: readonly (readonly Face[])[];
}

/** A ResNet-50 with a sixteenth of its channels: the least that there is. */
export const NETWORK: Configuration = narrowed(configurations['published-resnet50'], 1 / 16);
/** Pixels of a side of a scene. */
export const SIZE = 64;
export const BATCH = 16;
export const EXAM_SCENES = 32;
/** Steps until the learning rate is at its lowest, where it then stays. */
export const COURSE = 300;

const SCHEDULE = parseSchedule('cosine:0.05,0.003+warmup:8');
const SCENES = { size: SIZE, faces: [1, 1], faceHeights: [0.4 * SIZE, 0.8 * SIZE] } as const;
/** Scenes that are drawn before the first step; each step then adds one, up to the most. */
const FIRST_SCENES = 32;
const MOST_SCENES = 600;
/** A seed that no training has: what is examined was never learnt. */
const EXAM_SEED = 2 ** 31;
const SHOWN_SCORE = 0.4;
/** Points of faces of forty pixels are worth less than their boxes. */
const LOSS = { ...PUBLISHED_LOSS, lambda: { ...PUBLISHED_LOSS.lambda, landmarks: 0.2 } };
const CHANGES = {
  scales: [0.8, 1],
  brightness: 16,
  contrast: [0.8, 1.2],
  saturation: [0.8, 1.2],
  hue: 10,
} as const;

/** One training, from a network that knows nothing. */
export class Lesson implements Disposable {
  /** Scenes that it is examined on, and never learns from. */
  readonly exam: readonly Scene[];
  /** Numbers that it learns. */
  readonly parameters: number;
  readonly #device: GPUDevice;
  readonly #seed: number;
  readonly #model: RetinaFace;
  readonly #trainer: Trainer;
  readonly #scenes: Scene[] = [];
  #drawn = 0;
  #steps = 0;

  /**
   * Draws the exam and the first scenes; `onDrawn` hears of each. Another seed is another beginning, and other scenes to learn
   * from.
   */
  constructor(device: GPUDevice, seed: number, onDrawn?: (done: number, total: number) => void) {
    this.#device = device;
    this.#seed = seed;
    const drawn = (done: number): void => onDrawn?.(done, EXAM_SCENES + FIRST_SCENES);
    this.exam = Array.from({ length: EXAM_SCENES }, (_, i) => {
      drawn(i);
      return this.#draw(EXAM_SEED);
    });
    this.#drawn = 0;
    for (let i = 0; i < FIRST_SCENES; i++) {
      drawn(EXAM_SCENES + i);
      this.#scenes.push(this.#draw(seed));
    }
    this.#model = new RetinaFace(device, NETWORK);
    this.#model.initialise(seed);
    const learning = [...this.#model.network.parameters.learning()];
    this.parameters = learning.reduce((sum, { tensor }) => sum + tensor.size, 0);
    this.#trainer = new Trainer(this.#model.network, { loss: LOSS, clipNorm: 20 });
  }

  /** Steps that were taken. */
  get steps(): number {
    return this.#steps;
  }

  /** Learns from one batch of scenes, changed a little so that none is seen twice alike. */
  async step(): Promise<Losses> {
    const step = this.#steps;
    if (this.#scenes.length < MOST_SCENES) this.#scenes.push(this.#draw(this.#seed));
    const planned = Array.from({ length: BATCH }, (_, place) => {
      const random = randomOf(this.#seed, step, place);
      const { picture, faces } = random.pick(this.#scenes);
      return { picture, faces, plan: drawAugmentation(random, picture, faces, CHANGES) };
    });
    const { x, targets } = plannedBatch(this.#device, planned, { size: SIZE, ...NETWORK.input });
    const losses = this.#trainer.accumulate({ x, targets });
    x.dispose();
    targets[Symbol.dispose]();
    this.#trainer.step(SCHEDULE.rate({ step, epoch: 0, totalSteps: COURSE }));
    this.#steps++;
    return this.#trainer.read(losses);
  }

  /** Searches the scenes of the exam with the network as it is. */
  async examine(): Promise<Exam> {
    const found: (readonly Face[])[] = [];
    const searching = {
      detect: async (pictures: readonly Picture[], options?: DetectOptions): Promise<Face[][]> => {
        const faces = await this.#model.detect(pictures, options);
        found.push(...faces.map((each) => each.filter(({ score }) => score > SHOWN_SCORE)));
        return faces;
      },
    };
    const source = {
      length: this.exam.length,
      name: (index: number) => this.exam[index]!.name,
      load: (index: number) => Promise.resolve(this.exam[index]!.picture),
    };
    this.#model.network.train(false);
    try {
      const truth = groundTruthFromSamples(this.exam);
      const { easy } = await evaluateModel(searching, source, truth, { batch: EXAM_SCENES / 2 });
      return { precision: easy, found };
    } finally {
      this.#trainer.resume();
    }
  }

  /** The weights as they are, as a file that `load` takes. */
  async weights(): Promise<Uint8Array> {
    return writeSafetensors(await this.#model.state(), { steps: String(this.#steps) });
  }

  [Symbol.dispose](): void {
    this.#trainer.dispose();
    this.#model.dispose();
  }

  /** The next scene of a seed on which there is a face, and none is cut by an edge. */
  #draw(seed: number): Scene {
    for (;;) {
      const index = this.#drawn++;
      const source = syntheticSource(seed, index + 1, SCENES);
      const faces = source.faces(index);
      const isWhole = faces.every(({ box }) => box.every((edge) => edge > 0 && edge < SIZE));
      if (faces.length === 0 || !isWhole) continue;
      return { name: source.name(index), picture: syntheticScene(seed, index, SCENES).picture, faces };
    }
  }
}
