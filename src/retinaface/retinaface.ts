import { ArgumentError, DisposedError, WeightsError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import type { Face } from '../image/face.js';
import { checkPicture, type Picture } from '../image/picture.js';
import { toParameterNames } from '../weights/names.js';
import { readWeights } from '../weights/read.js';
import type { StateDict } from '../weights/state.js';
import type { Configuration, ConfigurationName } from './config.js';
import { detectionOf, type DetectOptions } from './detect_options.js';
import {
  checkConfiguration,
  completeConfiguration,
  configurationNamed,
  type GivenConfiguration,
} from './given_configuration.js';
import { networkOf } from './load.js';
import { Network } from './network.js';
import { readNetworkState } from './network_state.js';
import { Searcher } from './searcher.js';
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

/** Parts of a load, for its progress. */
const READ = 0.4;
const PARSED = 0.5;

/**
 * RetinaFace: finds faces with five landmarks in pictures (Deng et al. 2020).
 *
 * ```ts
 * const model = new RetinaFace(device);
 * await model.load(); // the weights in the box; or a name, a path, a URL or bytes
 * const faces = await model.detect(picture);
 * ```
 *
 * Takes any `GPUDevice` and never destroys it. One `detect` of pictures of one size is one read, and one submission unless that
 * were seconds of work for a slow GPU.
 */
export class RetinaFace implements Disposable {
  readonly gpu: Gpu;
  readonly #wanted: Configuration | undefined;
  /** What changes the configuration that is recognised from weights. */
  readonly #given: GivenConfiguration | undefined;
  #network: Network | undefined;
  #searcher: Searcher | undefined;
  #disposed = false;

  /**
   * `configuration`: a name, or an object with what a weights file cannot tell (the edges of anchors, the order of
   * colours); a whole configuration, too. Without it, or without its `name`, it is recognised from the weights.
   * @throws ArgumentError for an unknown name, or a field that is wrong.
   */
  constructor(device: GPUDevice, configuration?: ConfigurationName | GivenConfiguration) {
    this.gpu = Gpu.of(device);
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
   * model as it was.
   * @throws WeightsError for a damaged or unsafe file, one of another network, or one that cannot be fetched; FileError
   * when it cannot be read; the signal's reason when that aborts.
   */
  async load(source?: WeightsSource, options: LoadOptions = {}): Promise<void> {
    this.#assertLive();
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
    const network = new Network(this.gpu, this.#wanted);
    network.initialise(seed);
    this.#use(network);
  }

  /** The parameters as they are on the device, under their names, in PyTorch's layout: what `writeSafetensors` takes. */
  state(): Promise<StateDict> {
    return readNetworkState(this.network);
  }

  /**
   * Finds the faces of a picture, or of several, best first. Boxes and landmarks are in pixels of the picture that was
   * passed; a box may reach past its edge. "Left" is the picture's left. Of several pictures, as many as fit the device share
   * a pass.
   * @throws ImageError or ArgumentError for bad input, LimitError before anything is allocated for a size at which the device
   * cannot search, naming one at which it can.
   */
  async detect(picture: Picture, options?: DetectOptions): Promise<Face[]>;
  async detect(pictures: readonly Picture[], options?: DetectOptions): Promise<Face[][]>;
  async detect(input: Picture | readonly Picture[], options: DetectOptions = {}): Promise<Face[] | Face[][]> {
    const pictures = Array.isArray(input)
      ? (input as readonly Picture[]).map((picture, i) => checkPicture(picture, `detect, picture ${i} of the array`))
      : [checkPicture(input as Picture, 'detect')];
    const detection = detectionOf(options);
    if (this.network.training) {
      throw new ArgumentError({
        operation: 'detect',
        expected: 'a network in inference',
        got: 'one in training, whose batch norms would move',
        remedy: 'Call `model.network.train(false)` first.',
      });
    }
    const found = await this.#searcher!.search(pictures, detection);
    for (const [index, { cut }] of found.entries()) if (cut) options.onCut?.(index);
    const faces = found.map((each) => [...each.faces]);
    return Array.isArray(input) ? faces : faces[0]!;
  }

  /** Frees all that the model holds on the device; the device itself stays. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#network?.dispose();
    this.#network = undefined;
    this.#searcher?.dispose();
    this.#searcher = undefined;
    // The last one gives back what was kept for the next detection.
    if (this.gpu.memory().buffers === 0) this.gpu.trim();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** How this platform reads and keeps weights; the entries of the package add theirs. */
  protected get host(): WeightsHost {
    return {};
  }

  #use(network: Network): void {
    this.#network?.dispose();
    this.#network = network;
    this.#searcher?.dispose();
    this.#searcher = new Searcher(this.gpu, network);
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
