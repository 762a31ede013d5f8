import { checkOptions } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import { flatGrid } from '../gpu/grid.js';
import type { Size } from '../image/letterbox.js';
import type { Picture } from '../image/picture.js';
import { eachBand } from '../ops/bands.js';
import { Tensor } from '../tensor/tensor.js';
import type { Random } from './random.js';
import { checkFace, type Face } from './sample.js';

/** A rectangle of a picture, in its pixels; it may reach beyond the picture. */
export interface Crop {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** What is done to the colours, in this order: brightness, contrast (first), saturation, hue, contrast (last). */
export interface ColourChange {
  /** Added to red, green and blue, of 255. 0 changes nothing. */
  readonly brightness: number;
  /** Red, green and blue are multiplied by this. 1 changes nothing. */
  readonly contrast: number;
  /** The saturation (HSV) is multiplied by this. 1 changes nothing, 0 is grey. */
  readonly saturation: number;
  /** Added to the hue, in degrees of 360. */
  readonly hue: number;
  /** Contrast comes before saturation and hue, or after them. */
  readonly order: 'contrast-first' | 'contrast-last';
}

/** What is done to a picture on its way into the network. */
export interface AugmentPlan {
  /** The part that fills the output. */
  readonly crop: Crop;
  /** Mirrored left to right. */
  readonly flip: boolean;
  readonly colour: ColourChange;
}

/** What augmentations are drawn from: crops as in the report, colours as in the published code. */
export interface AugmentOptions {
  /** Edges of the crop, its longer ones, relative to the picture's short side; over 1 the picture shrinks on a padded ground. */
  readonly scales?: readonly number[];
  /**
   * Crops are up to so many times longer one way than the other, either way, and fill the square all the same: faces of
   * pictures that were stretched become ordinary. Default 1: square crops.
   */
  readonly stretch?: number;
  /**
   * Probability of a portrait where a picture has a face of 48 pixels or more: a crop around one of those, 1.1 to 2.5 times as large,
   * that holds all of it and may reach beyond the picture. Random crops show faces that large seldom. Default 0.
   */
  readonly portraits?: number;
  /** Crops are drawn again, so many times, until a face stays. Default 50; then the whole short side is taken. */
  readonly attempts?: number;
  /** Probability of a flip. Default 0.5. */
  readonly flip?: number;
  /** Probability of each change of colour. Default 0.5. */
  readonly colour?: number;
  /** Greatest change of brightness, of 255. Default 32. */
  readonly brightness?: number;
  /** Contrast and saturation are drawn from this range. Default 0.5 to 1.5. */
  readonly contrast?: readonly [number, number];
  readonly saturation?: readonly [number, number];
  /** Greatest turn of the hue, in degrees of 360. Default 36: 18 of 180. */
  readonly hue?: number;
}

/** Faces that are lower or narrower make no portrait: blown up, they are a blur. In pixels of the picture. */
const PORTRAIT_FACE = 48;

/** Edge of a portrait relative to the longer one of its face. */
const PORTRAIT_EDGES = [1.1, 2.5] as const;

/** Edges of crops relative to the short side, as in the report. */
export const CROP_SCALES: readonly number[] = [0.3, 0.45, 0.6, 0.8, 1];

const SAME_COLOUR: ColourChange = { brightness: 0, contrast: 1, saturation: 1, hue: 0, order: 'contrast-first' };

/** Which landmark a mirror turns into each: the other eye, the nose, the other corner of the mouth. */
const MIRRORED = [1, 0, 2, 4, 3] as const;

/**
 * Draws what is done to a picture in this epoch: a square crop, or one stretched by `stretch`, in which at least one face
 * has its centre, a flip, and changes of colour.
 * @throws ArgumentError for scales that are no positive numbers, a stretch under 1, and portraits that are no probability.
 */
export function drawAugmentation(
  random: Random,
  { width, height }: Size,
  faces: readonly Face[],
  options: AugmentOptions = {},
): AugmentPlan {
  checkOptions('drawAugmentation', options, {
    scales: 'array',
    stretch: 'number',
    attempts: 'number',
    portraits: 'number',
    flip: 'number',
    colour: 'number',
    brightness: 'number',
    contrast: 'array',
    saturation: 'array',
    hue: 'number',
  });
  const {
    scales = CROP_SCALES,
    stretch = 1,
    portraits = 0,
    attempts = 50,
    flip = 0.5,
    colour = 0.5,
    brightness = 32,
    hue = 36,
  } = options;
  const { contrast = [0.5, 1.5], saturation = [0.5, 1.5] } = options;
  if (scales.length === 0 || !scales.every((scale) => scale > 0 && Number.isFinite(scale))) {
    throw new ArgumentError({
      operation: 'drawAugmentation',
      expected: 'scales above 0',
      got: scales.length === 0 ? 'none' : scales.join(', '),
      remedy: 'Pass edges of crops relative to the short side.',
    });
  }
  if (!(stretch >= 1 && Number.isFinite(stretch))) {
    throw new ArgumentError({
      operation: 'drawAugmentation',
      expected: 'a stretch of at least 1',
      got: String(stretch),
      remedy: 'Pass how many times longer one side of a crop may be, or leave it out.',
    });
  }
  if (!(portraits >= 0 && portraits <= 1)) {
    throw new ArgumentError({
      operation: 'drawAugmentation',
      expected: 'portraits of 0 to 1',
      got: String(portraits),
      remedy: 'Pass the probability of a crop around one large face.',
    });
  }
  const short = Math.min(width, height);
  const portrait = (): Crop | undefined => {
    // Without portraits the draws are those that they always were.
    if (portraits === 0) return undefined;
    const large = faces.filter(({ box: [x1, y1, x2, y2] }) => Math.min(x2 - x1, y2 - y1) >= PORTRAIT_FACE);
    if (!random.chance(portraits) || large.length === 0) return undefined;
    const [x1, y1, x2, y2] = random.pick(large).box;
    const edge = Math.max(x2 - x1, y2 - y1) * random.between(...PORTRAIT_EDGES);
    return { x: random.between(x2 - edge, x1), y: random.between(y2 - edge, y1), width: edge, height: edge };
  };
  const rectangle = (edge: number, ratio: number): Crop => {
    // The longer side keeps the edge, so that no crop leaves the picture for the stretch.
    const [w, h] = [edge * Math.min(1, ratio), edge / Math.max(1, ratio)];
    return { x: random.next() * (width - w), y: random.next() * (height - h), width: w, height: h };
  };
  const drawn = (): Crop =>
    rectangle(short * random.pick(scales), stretch === 1 ? 1 : stretch ** random.between(-1, 1));
  let crop = portrait() ?? drawn();
  for (let attempt = 1; faces.length > 0 && !faces.some((face) => centreInside(face, crop)); attempt++) {
    if (attempt >= attempts) {
      crop = rectangle(short, 1);
      break;
    }
    crop = drawn();
  }
  const mirrored = random.chance(flip);
  // Each change takes its draws whether it happens or not: none depends on the others.
  const change = (low: number, high: number, none: number): number => {
    const happens = random.chance(colour);
    const value = random.between(low, high);
    return happens ? value : none;
  };
  return {
    crop,
    flip: mirrored,
    colour: {
      brightness: change(-brightness, brightness, 0),
      contrast: change(contrast[0], contrast[1], 1),
      saturation: change(saturation[0], saturation[1], 1),
      hue: change(-hue, hue, 0),
      order: random.chance(0.5) ? 'contrast-first' : 'contrast-last',
    },
  };
}

/**
 * The plan that changes nothing: the whole picture, as large as fits at the top left of a square, or stretched over it.
 */
export function plainPlan({ width, height }: Size, fit: 'letterbox' | 'stretch' = 'letterbox'): AugmentPlan {
  const longer = Math.max(width, height);
  const crop = fit === 'stretch' ? { x: 0, y: 0, width, height } : { x: 0, y: 0, width: longer, height: longer };
  return { crop, flip: false, colour: SAME_COLOUR };
}

function centreInside({ box: [x1, y1, x2, y2] }: Face, { x, y, width, height }: Crop): boolean {
  const [centreX, centreY] = [(x1 + x2) / 2, (y1 + y2) / 2];
  return centreX > x && centreX < x + width && centreY > y && centreY < y + height;
}

/**
 * The faces that stay, in pixels of an output of `size`: those whose centre is inside the crop, boxes clipped to it,
 * without landmarks where one of the five is outside; a flip swaps the left and the right ones.
 */
export function augmentFaces({ crop, flip }: AugmentPlan, faces: readonly Face[], size: number): Face[] {
  for (const face of faces) checkFace('augmentFaces', face);
  const [scaleX, scaleY] = [size / crop.width, size / crop.height];
  const toX = (x: number): number => (flip ? size - (x - crop.x) * scaleX : (x - crop.x) * scaleX);
  const toY = (y: number): number => (y - crop.y) * scaleY;
  const clip = (value: number): number => Math.min(size, Math.max(0, value));
  return faces
    .filter((face) => centreInside(face, crop))
    .map(({ box: [x1, y1, x2, y2], landmarks }) => {
      const [left, right] = flip ? [toX(x2), toX(x1)] : [toX(x1), toX(x2)];
      const box = [clip(left), clip(toY(y1)), clip(right), clip(toY(y2))] as const;
      if (!landmarks) return { box };
      const moved: number[] = [];
      for (let i = 0; i < 5; i++) {
        const from = flip ? MIRRORED[i]! : i;
        moved.push(toX(landmarks[2 * from]!), toY(landmarks[2 * from + 1]!));
      }
      return moved.every((value) => value >= 0 && value <= size) ? { box, landmarks: moved } : { box };
    });
}

/** How pixels become network input. */
export interface AugmentBatchOptions {
  /** Edge of the square output, in pixels. */
  readonly size: number;
  readonly order: 'rgb' | 'bgr';
  /** Per channel of the output, in its order, in units of 0 to 255. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** At most so many samples a side of an output pixel: crops that shrink by more are sampled sparsely. */
const MAX_TAPS = 16;

/**
 * Pictures as network input [n, size, size, 4] by their plans, one dispatch a picture: cropped, resized (bilinear with
 * half-pixel centres; where it shrinks, the mean of as many bilinear samples as source pixels), mirrored, coloured, and
 * (value − mean) / std. What lies outside a picture and the fourth channel are 0. Plans are to be those of
 * `drawAugmentation` or `plainPlan`.
 * @throws ArgumentError for data or plans that do not fit, and for options that there are not; LimitError for a picture of which one row of the
 * result needs more than the device holds.
 */
export function augmentBatch(
  device: GPUDevice | Gpu,
  pictures: readonly Picture[],
  plans: readonly AugmentPlan[],
  options: AugmentBatchOptions,
): Tensor<'f32'> {
  checkOptions('augmentBatch', options, { size: 'number!', order: 'string!', mean: 'array!', std: 'array!' });
  return augmentBatchBy(undefined, device, pictures, plans, options);
}

/** `augmentBatch` in bands of at most so many bytes, for tests; not public. */
export function augmentBatchBy(
  bandBytes: number | undefined,
  device: GPUDevice | Gpu,
  pictures: readonly Picture[],
  plans: readonly AugmentPlan[],
  { size, order, mean, std }: AugmentBatchOptions,
): Tensor<'f32'> {
  const gpu = Gpu.of(device);
  check(pictures, plans, size);
  const output = Tensor.empty(gpu, [pictures.length, size, size, 4], { label: 'network input' });
  pictures.forEach((picture, image) => {
    const { crop, flip, colour } = plans[image]!;
    const step = crop.height / size;
    // Half a pixel beyond what output rows cover, and a row more for the rounding of floats.
    const sourceRows = (first: number, end: number) => [crop.y + first * step - 2, crop.y + end * step + 2] as const;
    const bytes = bandBytes === undefined ? {} : { bytes: bandBytes };
    eachBand(gpu, picture, { operation: 'augmentBatch', outputRows: size, sourceRows, ...bytes }, (band) => {
      gpu.run('augment_image', {
        params: {
          source_width: picture.width,
          source_height: picture.height,
          size,
          image,
          source_row: band.sourceRow,
          first: band.first,
          rows: band.rows,
          crop_x: crop.x,
          crop_y: crop.y,
          step_x: crop.width / size,
          step_y: step,
          taps_x: taps(crop.width / size),
          taps_y: taps(step),
          flip: flip ? 1 : 0,
          bgr: order === 'bgr' ? 1 : 0,
          brightness: colour.brightness,
          contrast_before: colour.order === 'contrast-first' ? colour.contrast : 1,
          contrast_after: colour.order === 'contrast-last' ? colour.contrast : 1,
          saturation: colour.saturation,
          hue: colour.hue / 60,
          mean0: mean[0],
          mean1: mean[1],
          mean2: mean[2],
          std0: std[0],
          std1: std[1],
          std2: std[2],
        },
        buffers: { picture: band.source.buffer, y: output.buffer },
        grid: flatGrid(band.rows * size, 64),
      });
    });
  });
  return output;
}

/** Samples along one side of an output pixel that covers `step` source pixels. */
export function taps(step: number): number {
  return Math.min(MAX_TAPS, Math.max(1, Math.ceil(step - 1e-6)));
}

function check(pictures: readonly Picture[], plans: readonly AugmentPlan[], size: number): void {
  const fail = (expected: string, got: string, remedy: string): ArgumentError =>
    new ArgumentError({ operation: 'augmentBatch', expected, got, remedy });
  if (plans.length !== pictures.length || !Number.isInteger(size) || size < 1) {
    const got = `${plans.length} plans for ${pictures.length} pictures, size ${size}`;
    throw fail('a plan for each picture and a whole size', got, 'Draw one plan for each picture.');
  }
  pictures.forEach((picture, i) => {
    const bytes = picture.width * picture.height * 4;
    const { x, y, width, height } = plans[i]!.crop;
    if (bytes === 0 || picture.data.length !== bytes) {
      const expected = `RGBA data of ${picture.width}×${picture.height} pixels`;
      throw fail(expected, `${picture.data.length} bytes`, 'Pass four bytes a pixel.');
    }
    if (![x, y].every(Number.isFinite) || !(width > 0 && height > 0 && Number.isFinite(width + height))) {
      throw fail('a crop of some size', `${x}, ${y}, ${width}×${height}`, 'Draw plans with `drawAugmentation`.');
    }
  });
}
