import { checkOptions } from '../gpu/arguments.js';
import { ArgumentError, LimitError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import { flatGrid } from '../gpu/grid.js';
import type { Placement, Size } from '../image/letterbox.js';
import { Tensor } from '../tensor/tensor.js';
import { eachBand } from './bands.js';
import { type AnyPicture, isOnDevice, type PixelOrder } from './device_picture.js';

export interface PrepareOptions {
  /** Size of the output, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Of each picture: its scale and its size inside the output, at the top left. */
  readonly placements: readonly Placement[];
  readonly order: 'rgb' | 'bgr';
  /** Per channel of the output, in its order, in units of 0 to 255. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/**
 * Pictures as network input [n, height, width, 4]: bilinear with half-pixel centres (an area mean below a scale of 0.5),
 * (value − mean) / std; the fourth channel and the area beside a picture are 0. A picture of any size: what the device
 * cannot hold at once goes through it in bands, with the same result; one that is on the device already is read there.
 * @throws ArgumentError for data or placements that do not fit; LimitError where the result is too large for the device, or
 * so small that one row of it is made of more pixels than the device holds.
 */
export function prepareImages(
  device: GPUDevice | Gpu,
  pictures: readonly AnyPicture[],
  options: PrepareOptions,
): Tensor<'f32'> {
  checkOptions('prepareImages', options, {
    width: 'number!',
    height: 'number!',
    placements: 'array!',
    order: 'string!',
    mean: 'array!',
    std: 'array!',
  });
  return prepareImagesBy(undefined, device, pictures, options);
}

/** `prepareImages` in bands of at most so many bytes, for tests; not public. */
export function prepareImagesBy(
  bandBytes: number | undefined,
  device: GPUDevice | Gpu,
  pictures: readonly AnyPicture[],
  options: PrepareOptions,
): Tensor<'f32'> {
  const gpu = Gpu.of(device);
  const output = Tensor.empty(gpu, [pictures.length, options.height, options.width, 4], { label: 'network input' });
  try {
    prepareImagesInto(output, pictures, { ...options, bandBytes });
  } catch (error) {
    output.dispose();
    throw error;
  }
  return output;
}

/** `prepareImages` into a tensor [n, height, width, 4] that there is already: the input of a plan. Not public. */
export function prepareImagesInto(
  output: Tensor,
  pictures: readonly AnyPicture[],
  {
    width,
    height,
    placements,
    order,
    mean,
    std,
    bandBytes,
  }: PrepareOptions & { readonly bandBytes?: number | undefined },
): void {
  const { gpu } = output;
  pictures.forEach((picture, i) => {
    check(picture, placements[i], { width, height });
  });
  pictures.forEach((picture, image) => {
    const placed = placements[image]!;
    const area = placed.scale < 0.5;
    const run = (first: number, rows: number, source: Tensor<'u32'>, at: PixelOrder): void => {
      // What lies below the picture comes with its last rows.
      const through = first + rows === placed.height ? height - first : rows;
      gpu.run('prepare_image', {
        params: {
          source_width: picture.width,
          source_height: picture.height,
          placed_width: placed.width,
          placed_height: placed.height,
          width,
          height,
          image,
          start: at.start,
          step_x: at.stepX,
          step_y: at.stepY,
          first,
          rows: through,
          area: area ? 1 : 0,
          bgr: order === 'bgr' ? 1 : 0,
          mean0: mean[0],
          mean1: mean[1],
          mean2: mean[2],
          std0: std[0],
          std1: std[1],
          std2: std[2],
        },
        buffers: { picture: source.buffer, y: output.buffer },
        grid: flatGrid(width * through, 64),
      });
    };
    if (isOnDevice(picture)) {
      run(0, placed.height, picture.pixels, picture);
      return;
    }
    const ratio = picture.height / placed.height;
    // A row more on either side than by exact numbers.
    const sourceRows = (first: number, end: number) =>
      area
        ? ([first * ratio - 1, end * ratio + 1] as const)
        : ([(first + 0.5) * ratio - 1.5, (end - 0.5) * ratio + 1.5] as const);
    const bands = {
      operation: 'prepareImages',
      outputRows: placed.height,
      sourceRows,
      ...(bandBytes === undefined ? {} : { bytes: bandBytes }),
    };
    eachBand(gpu, picture, bands, ({ first, rows, sourceRow, source }) => {
      run(first, rows, source, { start: -sourceRow * picture.width, stepX: 1, stepY: picture.width });
    });
  });
}

function check(picture: AnyPicture, placed: Placement | undefined, canvas: Size): void {
  const bytes = picture.width * picture.height * 4;
  const whole = isOnDevice(picture) || picture.data.length === bytes;
  const fits =
    placed && placed.width >= 1 && placed.height >= 1 && placed.width <= canvas.width && placed.height <= canvas.height;
  if (!fits || bytes === 0 || !whole) {
    throw new ArgumentError({
      operation: 'prepareImages',
      expected: `RGBA data of ${picture.width}×${picture.height} pixels, placed inside ${canvas.width}×${canvas.height}`,
      got: `${isOnDevice(picture) ? bytes : picture.data.length} bytes, placed as ${placed ? `${placed.width}×${placed.height}` : 'nothing'}`,
      remedy: 'Pass four bytes a pixel, and one placement for each picture.',
    });
  }
  for (const [from, to] of [
    [picture.width, placed.width],
    [picture.height, placed.height],
  ] as const) {
    // The kernel counts in 32 bits.
    if (2 * to * (from % to) + from < 2 ** 32) continue;
    throw new LimitError({
      operation: 'prepareImages',
      expected: 'a side of at most 32,767 pixels, or one of a whole number of times as many',
      got: `${from} pixels scaled to ${to}`,
      remedy: 'Ask for a smaller result, or cut the picture into parts.',
    });
  }
}
