import { ArgumentError, DisposedError, WeightsError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import type { Face } from '../image/face.js';
import { checkPicture, type Picture } from '../image/picture.js';
import { toParameterNames } from '../weights/names.js';
import { readWeights } from '../weights/read.js';
import { recogniseBackbone, recogniseConfiguration, recogniseWidth } from '../weights/recognise.js';
import type { StateDict } from '../weights/state.js';
import { BUNDLED_CONFIGURATION, bundledWeights } from './bundled.js';
import { type Configuration, type ConfigurationName, configurations, narrowed } from './config.js';
import { detectionOf, type DetectOptions } from './detect_options.js';
import { Network } from './network.js';
import { readNetworkState, writeNetworkState } from './network_state.js';
import { Searcher } from './searcher.js';

/** What `load` tells while it works. */
export interface LoadProgress {
  readonly stage: 'read' | 'parse' | 'upload';
  /** 0 to 1, of the whole load. */
  readonly fraction: number;
}

/** Options of `load`. */
export interface LoadOptions {
  readonly onProgress?: (progress: LoadProgress) => void;
}

/**
 * RetinaFace: finds faces with five landmarks in pictures (Deng et al. 2020).
 *
 * ```ts
 * const model = new RetinaFace(device);
 * await model.load(); // the weights in the box; or a path, a URL or bytes
 * const faces = await model.detect(picture);
 * ```
 *
 * Takes any `GPUDevice` and never destroys it. One `detect` of pictures of one size is one submission and one read.
 */
export class RetinaFace implements Disposable {
  readonly gpu: Gpu;
  readonly #wanted: Configuration | undefined;
  #network: Network | undefined;
  #searcher: Searcher | undefined;
  #disposed = false;

  /**
   * `configuration`: a name, or an object of one's own. Without it, the configuration is recognised from the weights.
   * @throws ArgumentError for an unknown name.
   */
  constructor(device: GPUDevice, configuration?: ConfigurationName | Configuration) {
    this.gpu = Gpu.of(device);
    if (typeof configuration === 'string') {
      if (!Object.hasOwn(configurations, configuration)) {
        throw new ArgumentError({
          operation: 'new RetinaFace',
          expected: `one of ${Object.keys(configurations).join(', ')}`,
          got: `'${configuration as string}'`,
          remedy: 'Name a configuration of the list, or leave it out to recognise it from the weights.',
        });
      }
      this.#wanted = configurations[configuration];
    } else this.#wanted = configuration;
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
      remedy: 'Call `await model.load(…)` with a path, a URL or bytes first.',
    });
  }

  /**
   * Loads weights: safetensors or a PyTorch file (zip or legacy), with the names of the published checkpoints; without a
   * source, those in the box (fixtures/weights/README.md is their model card). A file that does not fit leaves the model
   * as it was.
   * @throws WeightsError for a damaged or unsafe file, or one of another network; FileError when it cannot be read.
   */
  async load(source?: string | URL | Uint8Array, options: LoadOptions = {}): Promise<void> {
    this.#assertLive();
    if (source === undefined && (this.#wanted?.name ?? BUNDLED_CONFIGURATION) !== BUNDLED_CONFIGURATION) {
      throw new WeightsError({
        operation: 'load the bundled weights',
        expected: `a model of ${BUNDLED_CONFIGURATION}, or one without a configuration`,
        got: `one of ${this.#wanted?.name ?? ''}`,
        remedy: 'Pass weights of that network: a path, a URL or bytes.',
      });
    }
    return this.#load(source ?? bundledWeights(), options);
  }

  async #load(source: string | URL | Uint8Array, options: LoadOptions): Promise<void> {
    const name = source instanceof Uint8Array ? 'the given bytes' : String(source);
    options.onProgress?.({ stage: 'read', fraction: 0 });
    const bytes = source instanceof Uint8Array ? source : await this.readBytes(source);
    options.onProgress?.({ stage: 'parse', fraction: 0.4 });
    this.loadState(toParameterNames(await readWeights(bytes, name)), name, options);
  }

  /** Loads tensors under our parameter names, in PyTorch's layout. `source` is what errors call them. */
  loadState(tensors: StateDict, source: string, options: LoadOptions = {}): void {
    this.#assertLive();
    const recognised = this.#wanted ? undefined : recogniseConfiguration(tensors);
    const configuration = recognised ? narrowed(configurations[recognised], recogniseWidth(tensors)) : this.#wanted;
    if (!configuration) {
      const backbone = recogniseBackbone(tensors);
      throw new WeightsError({
        operation: `load weights from ${source}`,
        expected: `weights of ${Object.keys(configurations).join(', ')}`,
        got: backbone ? `a ${backbone}, which has no detector` : `${tensors.size} tensors of another network`,
        remedy: 'Pass a RetinaFace checkpoint, or name the configuration that the file belongs to.',
      });
    }
    const network = new Network(this.gpu, configuration);
    try {
      writeNetworkState(network, tensors, source, {
        onWritten: (done, total) => options.onProgress?.({ stage: 'upload', fraction: 0.5 + (0.5 * done) / total }),
      });
    } catch (error) {
      network.dispose();
      throw error;
    }
    this.#use(network);
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

  /** Bytes of a path or URL; the Node entry adds file paths. */
  protected async readBytes(source: string | URL): Promise<Uint8Array> {
    const response = await fetch(source);
    if (!response.ok) {
      throw new WeightsError({
        operation: `load weights from ${String(source)}`,
        expected: 'a file to download',
        got: `HTTP ${response.status} ${response.statusText}`,
        remedy: 'Check the address.',
      });
    }
    return new Uint8Array(await response.arrayBuffer());
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
