import { AnchorCache } from '../detect/anchor_cache.js';
import { anchorCount } from '../detect/anchors.js';
import { selectFaces } from '../detect/select.js';
import type { Choices } from '../gpu/choices.js';
import { LimitError } from '../gpu/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Face } from '../image/face.js';
import type { Size } from '../image/letterbox.js';
import type { AnyPicture } from '../ops/device_picture.js';
import { prepareImagesInto } from '../ops/prepare_images.js';
import { Plans } from '../tensor/plans.js';
import { Tensor } from '../tensor/tensor.js';
import type { Detection } from './detect_options.js';
import { readFaces, rowLength } from './face_rows.js';
import type { Network } from './network.js';
import { looksAt, type PlacedPicture, placeOnCanvases, type View } from './placing.js';
import { TILE_OVERLAP } from './tiles.js';
import { searchInViews } from './views.js';

/** Faces of a picture, best first. */
export interface Found {
  readonly faces: readonly Face[];
  /** There were more than `maxFaces`. */
  readonly cut: boolean;
  /** It was searched in tiles. */
  readonly tiled: boolean;
}

const PASS_BYTES = 2 ** 30;

/** Edges of tiles, the largest that fits is taken; multiples of 64 above the overlap. */
const TILE_SIDES = [4096, 3072, 2560, 2048, 1536, 1280] as const;

/** Sizes that were tried are remembered up to so many. */
const REHEARSALS = 1024;

/** Searches pictures with one network: in passes that fit the device, each with one read. */
export class Searcher implements Disposable {
  readonly #gpu: Gpu;
  readonly #network: Network;
  readonly #anchors: AnchorCache;
  /** Passes by what they encode: their pictures' number and canvas, and the numbers of the detection. */
  readonly #plans: Plans;
  readonly #passBytes: number;
  /** What a pass takes, by its size; why it does not fit where it does not. Other ways to compute take other memory. */
  readonly #rehearsed = new WeakMap<Choices, Map<string, number | LimitError>>();
  /** Searches under way. */
  #running = 0;
  /** What is to be done once none is. */
  #whenIdle: (() => void) | undefined;

  /** `passBytes`: tensors of a pass over several pictures, or over a tile, take no more, whatever the device allows. */
  constructor(gpu: Gpu, network: Network, passBytes = PASS_BYTES) {
    this.#gpu = gpu;
    this.#network = network;
    this.#passBytes = passBytes;
    this.#anchors = new AnchorCache(gpu, network.configuration.levels);
    this.#plans = new Plans(gpu);
  }

  /**
   * Faces of each picture, in pixels of the picture as it was passed. It is searched once for each scale and turn that
   * `detection` or its size asks for; what several find is put to the vote. `check` is called before each pass, and ends the search
   * where it throws.
   * @throws LimitError before anything is allocated for a size that does not fit, naming one that does; what `check` throws.
   */
  async search(pictures: readonly AnyPicture[], detection: Detection, check?: () => void): Promise<Found[]> {
    this.#running++;
    try {
      const { scales, turns } = detection;
      const looks = pictures.map((picture) => looksAt(picture, scales));
      if (!turns.some(Boolean) && looks.every(({ length }) => length === 1)) {
        const views = pictures.map((picture, i) => ({ picture, scale: looks[i]![0]!.scale }));
        return await this.#searchViews(views, detection, check);
      }
      const search = (views: readonly View[]) => this.#searchViews(views, detection, check);
      return await searchInViews(this.#gpu, pictures, looks, detection, search);
    } finally {
      this.#running--;
      this.#idle();
    }
  }

  /** Calls `then` once the searches under way have ended: they end as they would have. None may begin any more. */
  retire(then: () => void): void {
    this.#whenIdle = then;
    this.#idle();
  }

  #idle(): void {
    if (this.#running === 0) this.#whenIdle?.();
  }

  /**
   * Faces of each view. Those that fill the same canvas share passes, as many as fit the device; each is found exactly as it
   * would be alone. One that is searched pixel for pixel and does not fit is searched in tiles.
   */
  async #searchViews(views: readonly View[], detection: Detection, check?: () => void): Promise<Found[]> {
    check?.();
    const found = new Array<Found>(views.length);
    const passes: (() => Promise<void>)[] = [];
    for (const canvas of placeOnCanvases(views, detection.size)) {
      const most = this.#picturesAPass(canvas, canvas.pictures.length, detection);
      const inTiles = detection.size === 'original' && canvas.pictures.every(({ placement }) => placement.scale === 1);
      if (most === 0 && !inTiles) throw this.#tooLarge(canvas, detection);
      for (let at = 0; at < canvas.pictures.length; at += Math.max(1, most)) {
        const group = canvas.pictures.slice(at, at + Math.max(1, most));
        passes.push(async () => {
          const results =
            most > 0
              ? await this.#pass(canvas, group, detection)
              : [
                  await this.searchInTiles(
                    group[0]!.picture,
                    this.#tileSide(canvas, detection),
                    TILE_OVERLAP,
                    detection,
                    check,
                  ),
                ];
          for (const [i, { index }] of group.entries()) found[index] = results[i]!;
        });
      }
    }
    for (const pass of passes) {
      check?.();
      await pass();
    }
    return found;
  }

  /** Searches a picture pixel for pixel, a tile of at most `side` pixels after the other. */
  async searchInTiles(
    picture: AnyPicture,
    side: number,
    overlap: number,
    detection: Detection,
    check?: () => void,
  ): Promise<Found> {
    const { cutTile, mergeTiles, tilesOf } = await import('./tiles.js');
    const found = [];
    let cut = false;
    for (const tile of tilesOf(picture, side, overlap)) {
      check?.();
      const placement = { scale: 1, width: tile.width, height: tile.height };
      const [result] = await this.#pass(tile, [{ picture: cutTile(picture, tile), placement, index: 0 }], detection);
      found.push({ tile, faces: result!.faces });
      cut ||= result!.cut;
    }
    const faces = mergeTiles(found, detection.nmsThreshold);
    return { faces: faces.slice(0, detection.maxFaces), cut: cut || faces.length > detection.maxFaces, tiled: true };
  }

  dispose(): void {
    this.#plans.dispose();
    this.#anchors.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** One read; one submission unless its work is beyond the bound of one. */
  async #pass(canvas: Size, pictures: readonly PlacedPicture[], detection: Detection): Promise<Found[]> {
    const { configuration } = this.#network;
    using selected = this.#encode(canvas, pictures, detection, this.#anchors.of(canvas.width, canvas.height));
    const numbers = await selected.read();
    const row = rowLength(detection.maxFaces + 1);
    return pictures.map(({ placement: { scale } }, n) => {
      const faces = readFaces(numbers.subarray(n * row, (n + 1) * row), {
        scale,
        landmarks: configuration.landmarks,
      });
      return { faces: faces.slice(0, detection.maxFaces), cut: faces.length > detection.maxFaces, tiled: false };
    });
  }

  /** Rows of the faces of each picture, one more than are wanted, to know whether there are more. */
  #encode(
    { width, height }: Size,
    pictures: readonly PlacedPicture[],
    { scoreThreshold, nmsThreshold, topK, maxFaces }: Detection,
    anchors: Tensor,
  ): Tensor<'f32'> {
    const { plusOne, variances, input } = this.#network.configuration;
    const shape = [pictures.length, height, width, 4];
    const key = [...shape, scoreThreshold, nmsThreshold, topK, maxFaces].join(' ');
    const { outputs } = this.#plans.run(key, {
      inputs: [{ shape, dtype: this.#network.parameters.precision, label: 'network input' }],
      fill: ([x]) => {
        const placements = pictures.map(({ placement }) => placement);
        const images = pictures.map(({ picture }) => picture);
        prepareImagesInto(x!, images, { width, height, placements, ...input });
      },
      compute: ([x]) => {
        const inferred = this.#network.infer(x!, anchors);
        const found = selectFaces(
          { ...inferred.outputs, anchors: inferred.anchors },
          { scoreThreshold, nmsThreshold, topK, maxFaces: maxFaces + 1, plusOne, variances },
        );
        return { outputs: [found], note: undefined };
      },
    });
    return outputs[0] as Tensor<'f32'>;
  }

  /** How many of `count` pictures of a canvas fit one pass; 0 where not even one does. */
  #picturesAPass(canvas: Size, count: number, detection: Detection): number {
    let most = count;
    for (; most > 1; most = Math.ceil(most / 2)) {
      const bytes = this.#bytesOf(canvas, most, detection);
      if (typeof bytes === 'number' && bytes <= this.#passBytes) return most;
    }
    return typeof this.#bytesOf(canvas, 1, detection) === 'number' ? 1 : 0;
  }

  /** Bytes of tensors that a pass takes; the LimitError that it would end in where it does not fit. */
  #bytesOf({ width, height }: Size, count: number, detection: Detection): number | LimitError {
    const key = `${count}×${width}×${height} ${detection.topK} ${detection.maxFaces}`;
    const { choices } = this.#gpu;
    let rehearsed = this.#rehearsed.get(choices);
    if (!rehearsed) this.#rehearsed.set(choices, (rehearsed = new Map<string, number | LimitError>()));
    const known = rehearsed.get(key);
    if (known !== undefined) return known;
    const picture = { data: new Uint8Array(4), width: 1, height: 1 };
    const placed = { picture, placement: { scale: 1, width: 1, height: 1 }, index: 0 };
    let bytes: number | LimitError;
    try {
      const { levels } = this.#network.configuration;
      bytes = this.#gpu.rehearse(() => {
        const anchors = Tensor.empty(this.#gpu, [anchorCount(levels, width, height), 4]);
        this.#encode({ width, height }, new Array<PlacedPicture>(count).fill(placed), detection, anchors).dispose();
        anchors.dispose();
      }).peakBytes;
    } catch (error) {
      if (!(error instanceof LimitError)) throw error;
      bytes = error;
    }
    if (rehearsed.size >= REHEARSALS) rehearsed.clear();
    rehearsed.set(key, bytes);
    return bytes;
  }

  #tileSide(canvas: Size, detection: Detection): number {
    for (const side of TILE_SIDES) {
      const bytes = this.#bytesOf({ width: side, height: side }, 1, detection);
      if (typeof bytes === 'number' && bytes <= this.#passBytes) return side;
    }
    throw this.#tooLarge(canvas, detection);
  }

  #tooLarge(canvas: Size, detection: Detection): LimitError {
    const cause = this.#bytesOf(canvas, 1, detection) as LimitError;
    const { width, height } = canvas;
    // The largest square that fits, in steps of the largest stride.
    let fits = 0;
    let above = Math.ceil(Math.max(width, height) / 64);
    while (above - fits > 1) {
      const side = 64 * Math.floor((fits + above) / 2);
      if (typeof this.#bytesOf({ width: side, height: side }, 1, detection) === 'number') fits = side / 64;
      else above = side / 64;
    }
    if (fits === 0) return cause;
    return new LimitError({
      operation: 'detect',
      expected: 'a search that fits this device',
      got: `one at ${width}×${height} (${cause.operation}: ${cause.got}, ${cause.expected})`,
      remedy:
        `Search at size: ${64 * fits} (--size ${64 * fits}) or less` +
        (detection.size === 'original' ? '.' : ", or pixel for pixel in tiles: size: 'original' (--size original)."),
      cause,
    });
  }
}
