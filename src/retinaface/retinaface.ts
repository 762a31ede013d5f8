import { anchorCount, anchorsFor } from '../detect/anchors.js';
import { selectFaces } from '../detect/select.js';
import { ArgumentError, DisposedError, WeightsError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import { letterbox, type Placement, type Size } from '../image/letterbox.js';
import { checkPicture, type Picture } from '../image/picture.js';
import { prepareImages } from '../ops/prepare_images.js';
import { keep, scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { toParameterNames } from '../weights/names.js';
import { readWeights } from '../weights/read.js';
import { recogniseBackbone, recogniseConfiguration, recogniseWidth } from '../weights/recognise.js';
import type { StateDict } from '../weights/state.js';
import { BUNDLED_CONFIGURATION, bundledWeights } from './bundled.js';
import { type Configuration, type ConfigurationName, configurations, narrowed } from './config.js';
import type { Face } from './face.js';
import { Network } from './network.js';
import { readNetworkState, writeNetworkState } from './network_state.js';

/** Longest side, in pixels, up to which pictures are searched at their own size unless `size` says otherwise. */
export const DEFAULT_MAX_SIDE = 2150;

/** How faces are searched for. */
export interface DetectOptions {
  /** Faces must score more than this; 0 to 1. Default 0.5. */
  readonly scoreThreshold?: number;
  /** Of two boxes that overlap by more than this (IoU), the lower one is dropped; 0 to 1. Default 0.4. */
  readonly nmsThreshold?: number;
  /** At most so many faces a picture, the best ones. Default 750. */
  readonly maxFaces?: number;
  /** At most so many candidates enter non-maximum suppression (the report's protocol: 5,000). Default 5,000. */
  readonly topK?: number;
  /**
   * `'original'`: pixel for pixel. A number: scaled to fit a square of that many pixels; a width and a height: to fit
   * those. By default the picture's own size, scaled down to a long side of 2,150 pixels where it is larger.
   */
  readonly size?: 'original' | number | Size;
}

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

interface PlacedPicture {
  readonly picture: Picture;
  readonly placement: Placement;
  readonly index: number;
}

/** Numbers of one face in the selection's rows: score, box, five points. */
const FACE_NUMBERS = 15;

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
  /** Anchors by input size; they depend on nothing else. */
  readonly #anchors = new Map<string, Tensor<'f32'>>();
  readonly #rehearsed = new Set<string>();
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
   * passed; a box may reach past its edge. "Left" is the picture's left.
   * @throws ImageError or ArgumentError for bad input, LimitError before anything is allocated when a picture is too
   * large for the device.
   */
  async detect(picture: Picture, options?: DetectOptions): Promise<Face[]>;
  async detect(pictures: readonly Picture[], options?: DetectOptions): Promise<Face[][]>;
  async detect(input: Picture | readonly Picture[], options: DetectOptions = {}): Promise<Face[] | Face[][]> {
    const single = !Array.isArray(input);
    const pictures = (single ? [input as Picture] : (input as readonly Picture[])).map((p) =>
      checkPicture(p, 'detect'),
    );
    checkOptions(options);
    // Pictures that fill the same canvas share a pass; each is found exactly as it would be alone.
    const groups = new Map<string, PlacedPicture[]>();
    for (const [index, picture] of pictures.entries()) {
      const canvas = canvasFor(picture, options.size);
      const placement = letterbox(picture.width, picture.height, canvas);
      const key = `${canvas.width}×${canvas.height}`;
      const group = groups.get(key);
      if (group) group.push({ picture, placement, index });
      else groups.set(key, [{ picture, placement, index }]);
    }
    const found: Face[][] = pictures.map(() => []);
    for (const group of groups.values()) {
      const canvas = canvasFor(group[0]!.picture, options.size);
      const results = await this.#detectGroup(group, canvas, options);
      for (const [i, faces] of results.entries()) found[group[i]!.index] = faces;
    }
    return single ? found[0]! : found;
  }

  /** Frees all that the model holds on the device; the device itself stays. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#network?.dispose();
    this.#network = undefined;
    this.#dropAnchors();
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

  async #detectGroup(
    group: readonly PlacedPicture[],
    canvas: { readonly width: number; readonly height: number },
    options: DetectOptions,
  ): Promise<Face[][]> {
    const network = this.network;
    const { configuration } = network;
    if (network.training) {
      throw new ArgumentError({
        operation: 'detect',
        expected: 'a network in inference',
        got: 'one in training, whose batch norms would move',
        remedy: 'Call `model.network.train(false)` first.',
      });
    }
    const { maxFaces = 750, topK = 5000, scoreThreshold = 0.5, nmsThreshold = 0.4 } = options;
    const { width, height } = canvas;
    const encode = (anchors: Tensor): Tensor<'f32'> =>
      scope(() => {
        const x = prepareImages(
          this.gpu.device,
          group.map(({ picture }) => picture),
          { width, height, placements: group.map(({ placement }) => placement), ...configuration.input },
        );
        const inferred = network.infer(x, anchors);
        return selectFaces(
          { ...inferred.outputs, anchors: inferred.anchors },
          {
            scoreThreshold,
            nmsThreshold,
            topK,
            maxFaces,
            plusOne: configuration.plusOne,
            variances: configuration.variances,
          },
        );
      });
    const rehearsal = `${group.length}×${width}×${height} ${topK} ${maxFaces}`;
    if (!this.#rehearsed.has(rehearsal)) {
      // Finds out what does not fit before anything is allocated.
      this.gpu.rehearse(() => {
        encode(Tensor.empty(this.gpu, [anchorCount(configuration.levels, width, height), 4])).dispose();
      });
      this.#rehearsed.add(rehearsal);
    }
    using selected = encode(this.#anchorsOf(width, height));
    const numbers = await selected.read();
    const row = 1 + maxFaces * FACE_NUMBERS;
    return group.map(({ placement }, n) => {
      const count = numbers[n * row]!;
      return Array.from({ length: count }, (_, i) =>
        toFace(numbers, n * row + 1 + i * FACE_NUMBERS, placement, configuration.landmarks),
      );
    });
  }

  #use(network: Network): void {
    this.#network?.dispose();
    this.#network = network;
    this.#rehearsed.clear();
    this.#dropAnchors();
  }

  #anchorsOf(width: number, height: number): Tensor<'f32'> {
    const key = `${width}×${height}`;
    let anchors = this.#anchors.get(key);
    if (!anchors) {
      // Pictures of many sizes must not pile up: the oldest goes first.
      const oldest = this.#anchors.size >= 16 ? this.#anchors.keys().next().value : undefined;
      if (oldest !== undefined) {
        this.#anchors.get(oldest)?.dispose();
        this.#anchors.delete(oldest);
      }
      const values = anchorsFor(this.network.configuration.levels, width, height);
      anchors = keep(Tensor.from(this.gpu, values, [values.length / 4, 4], `anchors of ${key}`));
      this.#anchors.set(key, anchors);
    }
    return anchors;
  }

  #dropAnchors(): void {
    for (const anchors of this.#anchors.values()) anchors.dispose();
    this.#anchors.clear();
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

function canvasFor({ width, height }: Picture, size: DetectOptions['size']): Size {
  if (typeof size === 'number') return { width: size, height: size };
  if (typeof size === 'object') return size;
  const scale = size === 'original' ? 1 : Math.min(1, DEFAULT_MAX_SIDE / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

function toFace(numbers: Float32Array, at: number, { scale }: Placement, landmarks: boolean): Face {
  const value = (i: number): number => numbers[at + i]! / scale;
  const point = (i: number): { x: number; y: number } => ({ x: value(5 + 2 * i), y: value(6 + 2 * i) });
  return {
    score: numbers[at]!,
    box: { x1: value(1), y1: value(2), x2: value(3), y2: value(4) },
    ...(landmarks
      ? {
          landmarks: {
            leftEye: point(0),
            rightEye: point(1),
            nose: point(2),
            leftMouth: point(3),
            rightMouth: point(4),
          },
        }
      : {}),
  };
}

function checkOptions({
  scoreThreshold = 0.5,
  nmsThreshold = 0.4,
  maxFaces = 750,
  topK = 5000,
  size,
}: DetectOptions): void {
  const check = (name: string, value: number, valid: boolean, expected: string): void => {
    if (valid) return;
    throw new ArgumentError({
      operation: 'detect',
      expected: `${name} to be ${expected}`,
      got: String(value),
      remedy: `Pass another ${name}, or leave it out.`,
    });
  };
  const fraction = (value: number): boolean => value >= 0 && value <= 1;
  check('scoreThreshold', scoreThreshold, fraction(scoreThreshold), 'between 0 and 1');
  check('nmsThreshold', nmsThreshold, fraction(nmsThreshold), 'between 0 and 1');
  check('maxFaces', maxFaces, Number.isInteger(maxFaces) && maxFaces >= 1, 'a whole number of at least 1');
  check('topK', topK, Number.isInteger(topK) && topK >= 1, 'a whole number of at least 1');
  if (typeof size === 'number')
    check('size', size, Number.isInteger(size) && size >= 16, 'a whole number of at least 16');
  if (typeof size === 'object') {
    for (const side of [size.width, size.height])
      check('size', side, Number.isInteger(side) && side >= 1, 'whole numbers of at least 1');
  }
}
