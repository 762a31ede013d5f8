import { ArgumentError, LimitError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import { flatGrid } from '../gpu/grid.js';
import type { Placement } from '../image/letterbox.js';
import type { Picture } from '../image/picture.js';
import { Tensor } from '../tensor/tensor.js';

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
 * (value − mean) / std; the fourth channel and the area beside a picture are 0.
 * @throws ArgumentError for data or placements that do not fit; LimitError for a picture over the binding limit.
 */
export function prepareImages(
  device: GPUDevice | Gpu,
  pictures: readonly Picture[],
  { width, height, placements, order, mean, std }: PrepareOptions,
): Tensor<'f32'> {
  const gpu = device instanceof Gpu ? device : Gpu.of(device);
  const limit = Math.min(gpu.limits.maxStorageBufferBindingSize, gpu.limits.maxBufferSize);
  pictures.forEach((picture, i) => {
    const placed = placements[i];
    const bytes = picture.width * picture.height * 4;
    const fits = placed && placed.width >= 1 && placed.height >= 1 && placed.width <= width && placed.height <= height;
    if (!fits || bytes === 0 || picture.data.length !== bytes) {
      throw new ArgumentError({
        operation: 'prepareImages',
        expected: `RGBA data of ${picture.width}×${picture.height} pixels, placed inside ${width}×${height}`,
        got: `${picture.data.length} bytes, placed as ${placed ? `${placed.width}×${placed.height}` : 'nothing'}`,
        remedy: 'Pass four bytes a pixel, and one placement for each picture.',
      });
    }
    if (bytes > limit) {
      throw new LimitError({
        operation: 'prepareImages',
        expected: `at most ${limit} bytes a picture on this device`,
        got: `${bytes}`,
        remedy: 'Shrink the picture first.',
      });
    }
  });
  const output = Tensor.empty(gpu, [pictures.length, height, width, 4], { label: 'network input' });
  pictures.forEach((picture, image) => {
    const placed = placements[image]!;
    const source = Tensor.empty(gpu, [picture.height, picture.width], { dtype: 'u32', label: 'picture' });
    gpu.upload(source.buffer, picture.data as Uint8Array<ArrayBuffer>);
    gpu.run('prepare_image', {
      params: {
        source_width: picture.width,
        source_height: picture.height,
        placed_width: placed.width,
        placed_height: placed.height,
        width,
        height,
        image,
        area: placed.scale < 0.5 ? 1 : 0,
        bgr: order === 'bgr' ? 1 : 0,
        mean0: mean[0],
        mean1: mean[1],
        mean2: mean[2],
        std0: std[0],
        std1: std[1],
        std2: std[2],
      },
      buffers: { picture: source.buffer, y: output.buffer },
      grid: flatGrid(width * height, 64),
    });
    source.dispose();
  });
  return output;
}
