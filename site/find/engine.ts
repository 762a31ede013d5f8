// The library as the first room uses it: one device, one model, one search at a time, each with its time.
import {
  type DetectOptions,
  type Face,
  Gpu,
  type KernelTiming,
  type LoadProgress,
  type Picture,
  requestDevice,
  RetinaFace,
  type WeightsSource,
} from '../../src/browser/index.js';

/** How a picture is searched. */
export interface Search {
  readonly size: DetectOptions['size'];
  /** Faces must score more than this. */
  readonly threshold: number;
}

/** What a search found, and what it took. */
export interface Found {
  readonly faces: readonly Face[];
  readonly milliseconds: number;
  /** True where kernels were compiled and plans recorded on the way: the first search of its kind. */
  readonly first: boolean;
}

/** Milliseconds of a load. */
export interface LoadTimes {
  readonly fetch: number;
  readonly upload: number;
}

/** Milliseconds on the device of one search. */
export interface DeviceTimes {
  readonly prepare: number;
  readonly network: number;
  readonly choose: number;
}

export class Engine {
  readonly device: GPUDevice;
  /** Milliseconds that opening the device took. */
  readonly openTime: number;
  #model: RetinaFace | undefined;
  readonly #known = new Set<string>();
  /** Counts loads: the newest one counts, whichever ends first. */
  #loads = 0;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(device: GPUDevice, openTime: number) {
    this.device = device;
    this.openTime = openTime;
  }

  /** @throws AdapterError where there is no adapter. */
  static async open(): Promise<Engine> {
    const began = performance.now();
    const device = await requestDevice({ powerPreference: 'high-performance' });
    return new Engine(device, performance.now() - began);
  }

  /** The adapter's name, as much of it as the browser tells. */
  get adapter(): string {
    const { vendor, architecture, device, description } = this.device.adapterInfo;
    const names = description ? [description, architecture] : [vendor, architecture, device];
    return names.filter(Boolean).join(', ') || 'a graphics card that the browser does not name';
  }

  /** True where there is no card behind the adapter: the processor does its work, slowly. */
  get onProcessor(): boolean {
    return Gpu.of(this.device).isFallback;
  }

  get ready(): boolean {
    return this.#model !== undefined;
  }

  /** Changes to other weights; what fails leaves those in use. Undefined where others were asked for meanwhile. */
  async load(source: WeightsSource, onProgress: (progress: LoadProgress) => void): Promise<LoadTimes | undefined> {
    const asked = ++this.#loads;
    const began = performance.now();
    let read = began;
    const model = new RetinaFace(this.device);
    try {
      await model.load(source, {
        onProgress: (progress) => {
          if (progress.stage === 'read') read = performance.now();
          onProgress(progress);
        },
      });
    } catch (error) {
      model.dispose();
      throw error;
    }
    if (asked !== this.#loads) {
      model.dispose();
      return undefined;
    }
    const times = { fetch: read - began, upload: performance.now() - read };
    await this.#alone(() => {
      this.#model?.dispose();
      this.#model = model;
      this.#known.clear();
      return Promise.resolve();
    });
    return times;
  }

  async find(picture: Picture | ImageBitmap, { size, threshold }: Search): Promise<Found> {
    return this.#alone(async (model) => {
      const key = JSON.stringify([picture.width, picture.height, size]);
      const began = performance.now();
      const faces = await model.detect(picture, { scoreThreshold: threshold, ...(size === undefined ? {} : { size }) });
      const milliseconds = performance.now() - began;
      const first = !this.#known.has(key);
      this.#known.add(key);
      return { faces, milliseconds, first };
    });
  }

  /** Where the time of a search goes by the device's own clock; undefined where it has none. */
  async profile(picture: Picture, { size, threshold }: Search): Promise<DeviceTimes | undefined> {
    if (!this.device.features.has('timestamp-query')) return undefined;
    return this.#alone(async (model) => {
      const timings = await model.gpu.profile(async () => {
        await model.detect(picture, { scoreThreshold: threshold, ...(size === undefined ? {} : { size }) });
      });
      const sum = (stage: keyof DeviceTimes): number =>
        timings.reduce((total, timing) => total + (stageOf(timing) === stage ? timing.nanoseconds / 1e6 : 0), 0);
      return { prepare: sum('prepare'), network: sum('network'), choose: sum('choose') };
    });
  }

  /** One piece of work at a time: models are not changed under a search. */
  async #alone<T>(work: (model: RetinaFace) => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => work(this.#model!));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

const CHOOSING = /^(decode_boxes|face_scores|float_keys|select_top_k|sort_|suppress|iou_matrix|softmax)/;

function stageOf({ kernel }: KernelTiming): keyof DeviceTimes {
  if (kernel === 'prepare_image') return 'prepare';
  return CHOOSING.test(kernel) ? 'choose' : 'network';
}
