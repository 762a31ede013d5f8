import { checkOptions, isPromise } from '../gpu/arguments.js';
import type { Choices } from '../gpu/choices.js';
import { ArgumentError, DisposedError, WeightsError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import type { Face } from '../image/face.js';
import { checkPicture, type Picture } from '../image/picture.js';
import type { PictureInput } from '../image/source.js';
import type { Precision } from '../nn/parameter.js';
import { type AnyPicture, isOnDevice } from '../ops/device_picture.js';
import { toParameterNames } from '../weights/names.js';
import { readWeights } from '../weights/read.js';
import type { StateDict } from '../weights/state.js';
import type { Configuration, ConfigurationName } from './config.js';
import { type Detection, detectionOf, type DetectOptions } from './detect_options.js';
import {
  checkConfiguration,
  completeConfiguration,
  configurationNamed,
  type GivenConfiguration,
} from './given_configuration.js';
import { networkOf } from './load.js';
import { Network } from './network.js';
import { readNetworkState } from './network_state.js';
import { type Found, Searcher } from './searcher.js';
import { namedSource, readSource, type WeightsHost, type WeightsSource } from './weights_source.js';

/** What `load` tells while it works. */
export interface LoadProgress {
  readonly stage: 'read' | 'parse' | 'upload';
  /** 0 to 1, of the whole load. */
  readonly fraction: number;
  /** While the file is read: bytes that have come, and those in all where that is known. */
  readonly loaded?: number;
  readonly total?: number;
}

/** Options of `load`. */
export interface LoadOptions {
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Ends the load; it then throws the signal's reason, and the model is as it was. */
  readonly signal?: AbortSignal;
}

/** How a model computes. */
export interface ModelOptions {
  /**
   * What weights and activations are stored in: `f32`, the default, or `f16`, half the memory and the traffic of it, with sums in
   * f32, for devices with the feature `shader-f16`; such a model finds the same faces but for small differences, and cannot be
   * trained.
   */
  readonly precision?: Precision | undefined;
}

/** Options of `RetinaFace.create`. */
export interface CreateOptions extends LoadOptions, ModelOptions {
  /** What `load` takes. Default: the weights in the box. */
  readonly weights?: WeightsSource;
  /** The device to use, which stays the caller's. Without it one is opened, and destroyed with the model. */
  readonly device?: GPUDevice;
  /** What `new RetinaFace` takes. */
  readonly configuration?: ConfigurationName | GivenConfiguration;
}

/** How a platform reads a picture. */
export interface PictureReading {
  readonly gpu: Gpu;
  /** What errors call the attempt. */
  readonly operation: string;
  readonly signal: AbortSignal | undefined;
}

/** What a platform adds to a model. */
export interface ModelHost extends WeightsHost {
  /**
   * A picture as this platform has it; on the device where it need not pass through JavaScript, and then the model's to free.
   * What a page shows is taken at the moment of the call.
   */
  readonly readPicture?: (source: PictureInput, reading: PictureReading) => AnyPicture | Promise<AnyPicture>;
  /** What tuning found for a device and is kept on this platform. */
  readonly keptChoices?: (gpu: Gpu) => Choices;
}

const LOAD_OPTIONS = { onProgress: 'function', signal: 'object' } as const;

/** Parts of a load, for its progress. */
const READ = 0.4;
const PARSED = 0.5;

/**
 * RetinaFace: finds faces with five landmarks in pictures (Deng et al. 2020).
 *
 * ```ts
 * const model = await RetinaFace.create();
 * const faces = await model.detect('photo.jpg');
 * model.dispose();
 * ```
 *
 * `new RetinaFace(device)` and `load` do the same by hand. A device that is passed stays the caller's. One `detect` of pictures of one size is one read, and one submission unless that
 * were seconds of work for a slow GPU.
 */
export class RetinaFace implements Disposable {
  readonly gpu: Gpu;
  /** What weights and activations are stored in. */
  readonly precision: Precision;
  readonly #wanted: Configuration | undefined;
  /** What changes the configuration that is recognised from weights. */
  readonly #given: GivenConfiguration | undefined;
  #network: Network | undefined;
  #searcher: Searcher | undefined;
  #disposed = false;
  #ownsDevice = false;

  /**
   * A model with weights on a device: one that is opened for it, and destroyed by `dispose`, or the one that is passed.
   * @throws what `requestDevice`, the constructor and `load` throw, with nothing left open.
   */
  static async create(options: CreateOptions = {}): Promise<RetinaFace> {
    const open = (): Promise<GPUDevice> =>
      Promise.reject(
        new ArgumentError({
          operation: 'RetinaFace.create',
          expected: 'a device',
          got: 'none',
          remedy: 'Pass { device }.',
        }),
      );
    return this.make(options, open, (...given) => new this(...given));
  }

  /** `create` for an entry of the package, which knows how to open a device. */
  protected static async make<M extends RetinaFace>(
    options: CreateOptions,
    open: () => Promise<GPUDevice>,
    construct: (device: GPUDevice, configuration: CreateOptions['configuration'], options: ModelOptions) => M,
  ): Promise<M> {
    checkOptions('RetinaFace.create', options, {
      weights: 'any',
      device: 'any',
      configuration: 'string|object',
      precision: 'string',
      ...LOAD_OPTIONS,
    });
    const { weights, device, configuration, precision, ...loading } = options;
    loading.signal?.throwIfAborted();
    const own = device === undefined ? await open() : undefined;
    let model: M | undefined;
    try {
      model = construct(device ?? own!, configuration, { precision });
      await model.load(weights, loading);
    } catch (error) {
      model?.dispose();
      own?.destroy();
      throw error;
    }
    model.#ownsDevice = own !== undefined;
    return model;
  }

  /**
   * `configuration`: a name, or an object with what a weights file cannot tell (the edges of anchors, the order of
   * colours); a whole configuration, too. Without it, or without its `name`, it is recognised from the weights.
   * @throws ArgumentError for an unknown name, or a field that is wrong; AdapterError for `f16` on a device without it.
   */
  constructor(
    device: GPUDevice,
    configuration?: ConfigurationName | GivenConfiguration,
    { precision = 'f32' }: ModelOptions = {},
  ) {
    this.gpu = Gpu.of(device);
    this.gpu.checkPrecision(precision);
    this.precision = precision;
    const { keptChoices } = this.host;
    if (keptChoices) this.gpu.useKeptChoices(() => keptChoices(this.gpu));
    if (typeof configuration === 'string') this.#wanted = configurationNamed(configuration, 'new RetinaFace');
    else if (configuration !== undefined) {
      const given = (this.#given = checkConfiguration(configuration, 'new RetinaFace'));
      if (given.name !== undefined) {
        const base = configurationNamed(given.name, 'new RetinaFace');
        this.#wanted = completeConfiguration(given, base, 'new RetinaFace');
      }
    }
  }

  /** The configuration in use: the one asked for, or the one recognised from the loaded weights. */
  get configuration(): Configuration | undefined {
    return this.#network?.configuration ?? this.#wanted;
  }

  /** The network, once weights are loaded. @throws WeightsError before. */
  get network(): Network {
    this.#assertLive();
    if (this.#network) return this.#network;
    throw new WeightsError({
      operation: 'RetinaFace',
      expected: 'a model with weights',
      got: 'one without',
      remedy: 'Call `await model.load()` first.',
    });
  }

  /**
   * Loads weights: safetensors or a PyTorch file (zip or legacy), with the names of the published checkpoints. `source` is
   * a name (`namedWeights` lists them; public ones are fetched once and kept), a path, an address or the bytes; without
   * it, the weights in the box (fixtures/weights/README.md is their model card). A file that does not fit leaves the
   * model as it was. Searches under way end with the weights that they began with.
   * @throws WeightsError for a damaged or unsafe file, one of another network, or one that cannot be fetched; FileError
   * when it cannot be read; the signal's reason when that aborts.
   */
  async load(source?: WeightsSource, options: LoadOptions = {}): Promise<void> {
    this.#assertLive();
    checkOptions('load', options, LOAD_OPTIONS);
    const { onProgress, signal } = options;
    const named = namedSource(source);
    if (named && this.#wanted && this.#wanted.name !== named.configuration) {
      throw new WeightsError({
        operation: source === undefined ? 'load the bundled weights' : `load the weights ${named.name}`,
        expected: `a model of ${named.configuration}, or one without a configuration`,
        got: `one of ${this.#wanted.name}`,
        remedy: 'Pass weights of that network: a name, a path, a URL or bytes.',
      });
    }
    onProgress?.({ stage: 'read', fraction: 0 });
    const { bytes, name } = await readSource(source, this.host, {
      signal,
      onProgress: ({ loaded, total }) => {
        const fraction = total === undefined ? 0 : READ * Math.min(1, loaded / Math.max(1, total));
        onProgress?.({ stage: 'read', fraction, loaded, ...(total === undefined ? {} : { total }) });
      },
    });
    onProgress?.({ stage: 'parse', fraction: READ });
    const tensors = toParameterNames(await readWeights(bytes, name));
    signal?.throwIfAborted();
    this.loadState(tensors, name, options);
  }

  /** Loads tensors under our parameter names, in PyTorch's layout. `source` is what errors call them. */
  loadState(tensors: StateDict, source: string, options: LoadOptions = {}): void {
    this.#assertLive();
    this.#use(
      networkOf(this.gpu, tensors, source, {
        wanted: this.#wanted,
        given: this.#given,
        precision: this.precision,
        onWritten: (done, total) =>
          options.onProgress?.({ stage: 'upload', fraction: PARSED + ((1 - PARSED) * done) / total }),
      }),
    );
  }

  /**
   * Makes the network of the configuration that was asked for with freshly drawn parameters, to be trained.
   * @throws ArgumentError when no configuration was asked for.
   */
  initialise(seed: number): void {
    this.#assertLive();
    if (!this.#wanted) {
      throw new ArgumentError({
        operation: 'RetinaFace.initialise',
        expected: 'a configuration',
        got: 'a model that would recognise it from weights',
        remedy: "Name one: new RetinaFace(device, 'context').",
      });
    }
    const network = new Network(this.gpu, this.#wanted, this.precision);
    network.initialise(seed);
    this.#use(network);
  }

  /** The parameters as they are on the device, under their names, in PyTorch's layout: what `writeSafetensors` takes. */
  state(): Promise<StateDict> {
    return readNetworkState(this.network);
  }

  /**
   * Finds the faces of a picture, or of several, best first. A picture is whatever `PictureInput` lists: pixels, a file's bytes or
   * address, in Node a path, in a page what it shows, which is taken at the moment of the call. Boxes and landmarks are in
   * pixels of the upright picture; a box may reach past its edge. "Left" is the picture's left. Of several pictures, as many
   * as fit the device share a pass; all of them are read before the search.
   * @throws ImageError, FileError or ArgumentError for bad input, LimitError before anything is allocated for a size at which
   * the device cannot search, naming one at which it can; the reason of `options.signal` when that aborts; DisposedError when the
   * model is disposed of before all is searched.
   */
  async detect(picture: PictureInput, options?: DetectOptions): Promise<Face[]>;
  async detect(pictures: readonly PictureInput[], options?: DetectOptions): Promise<Face[][]>;
  async detect(input: PictureInput | readonly PictureInput[], options: DetectOptions = {}): Promise<Face[] | Face[][]> {
    const detection = detectionOf(options);
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.network.training) {
      throw new ArgumentError({
        operation: 'detect',
        expected: 'a network in inference',
        got: 'one in training, whose batch norms would move',
        remedy: 'Call `model.network.train(false)` first.',
      });
    }
    const isList = Array.isArray(input);
    const sources = isList ? (input as readonly PictureInput[]) : [input as PictureInput];
    const names = sources.map((_, i) => (isList ? `detect, picture ${i} of the array` : 'detect'));
    const found = await untilAborted(this.#search(sources, names, detection, signal), signal);
    for (const [index, { cut, tiled }] of found.entries()) {
      if (cut) options.onCut?.(index);
      if (tiled) options.onTiled?.(index);
    }
    const faces = found.map((each) => [...each.faces]);
    return isList ? faces : faces[0]!;
  }

  async #search(
    sources: readonly PictureInput[],
    names: readonly string[],
    detection: Detection,
    signal: AbortSignal | undefined,
  ): Promise<readonly Found[]> {
    const { readPicture = checkedPicture } = this.host;
    const pictures = readAll(
      sources.map((source, i) => () => readPicture(source, { gpu: this.gpu, operation: names[i]!, signal })),
    );
    // Pixels that the caller may change after the call are taken before anything is waited for.
    const read = isPromise(pictures) ? await pictures : pictures;
    const check = (): void => {
      signal?.throwIfAborted();
      this.#assertLive();
    };
    try {
      check();
      return await this.#searcher!.search(read, detection, check);
    } catch (error) {
      // A device of its own goes with the model: that is what the caller did, and no loss.
      check();
      throw error;
    } finally {
      free(read);
    }
  }

  /** Frees all that the model holds on the device; the device itself stays, unless `create` opened it. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#network?.dispose();
    this.#network = undefined;
    this.#searcher?.dispose();
    this.#searcher = undefined;
    // The last one gives back what was kept for the next detection.
    if (this.gpu.memory().buffers === 0) this.gpu.trim();
    if (this.#ownsDevice) this.gpu.device.destroy();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** How this platform reads pictures, and reads and keeps weights; the entries of the package add theirs. */
  protected get host(): ModelHost {
    return {};
  }

  #use(network: Network): void {
    const [before, searcher] = [this.#network, this.#searcher];
    this.#network = network;
    this.#searcher = new Searcher(this.gpu, network);
    searcher?.retire(() => {
      searcher.dispose();
      before?.dispose();
    });
  }

  #assertLive(): void {
    if (!this.#disposed) return;
    throw new DisposedError({
      operation: 'RetinaFace',
      expected: 'a live model',
      got: 'one that was disposed of',
      remedy: 'Make a new model.',
    });
  }
}

/** Pixels, where a platform reads nothing else. */
function checkedPicture(source: PictureInput, { operation }: PictureReading): Picture {
  return checkPicture(source as Picture, operation);
}

/** All pictures, waited for only where one has to be; where one fails, the others are freed. */
function readAll(
  reads: readonly (() => AnyPicture | Promise<AnyPicture>)[],
): readonly AnyPicture[] | Promise<readonly AnyPicture[]> {
  const begun: (AnyPicture | Promise<AnyPicture>)[] = [];
  let failed: { readonly error: unknown } | undefined;
  for (const read of reads) {
    try {
      begun.push(read());
    } catch (error) {
      failed = { error };
      break;
    }
  }
  if (!failed && !begun.some(isPromise)) return begun as readonly AnyPicture[];
  return Promise.allSettled(begun.map((each) => Promise.resolve(each))).then((results) => {
    const pictures = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const rejected = results.find((result) => result.status === 'rejected');
    if (!rejected && !failed) return pictures;
    free(pictures);
    throw rejected ? rejected.reason : failed!.error;
  });
}

/** Gives back what pictures hold of the device. */
function free(pictures: readonly AnyPicture[]): void {
  for (const picture of pictures) if (isOnDevice(picture)) picture.pixels.dispose();
}

/** The promise, or the reason of `signal` as soon as that aborts; what the work comes to is then nobody's. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      // Whatever a caller aborts with is thrown as it is.
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
      reject(signal.reason);
    };
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop!);
    work.catch(() => undefined);
  }
}
