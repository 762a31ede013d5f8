import type { Gpu } from '../gpu/gpu.js';
import type { Size } from '../image/letterbox.js';
import type { Picture } from '../image/picture.js';
import { keep } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';

/** Where the pixels of a picture lie among those of a tensor: (x, y) in element `start + x·stepX + y·stepY`. */
export interface PixelOrder {
  readonly start: number;
  readonly stepX: number;
  readonly stepY: number;
}

/** A picture in the memory of a device, packed RGBA: all of `pixels`, a part of it, or either of them turned. */
export interface DevicePicture extends Size, PixelOrder {
  readonly pixels: Tensor<'u32'>;
}

/** A picture, wherever its pixels are. */
export type AnyPicture = Picture | DevicePicture;

export function isOnDevice(picture: AnyPicture): picture is DevicePicture {
  return 'pixels' in picture;
}

/** Rows that are copied from textures begin at multiples of 256 bytes. */
const ROW_PIXELS = 64;

/** A copy on the device, whose `pixels` the caller owns; undefined where the picture is larger than one binding. */
export function uploadPicture(gpu: Gpu, { data, width, height }: Picture): DevicePicture | undefined {
  if (data.length > gpu.largestTensor) return undefined;
  // A user's scope is not to free it, and it ends no submission.
  const pixels = keep(Tensor.empty(gpu, [height, width], { dtype: 'u32', label: 'picture', fresh: true }));
  gpu.upload(pixels.buffer, data as Uint8Array<ArrayBuffer>);
  return { pixels, width, height, start: 0, stepX: 1, stepY: width };
}

/**
 * What a page shows at this moment, on the device without a way through JavaScript; the caller owns `pixels`. Undefined where
 * it is larger than a texture or a binding of the device.
 * @throws what `copyExternalImageToTexture` throws: of another origin, closed, or of a kind that this browser does not take.
 */
export function capturePicture(
  gpu: Gpu,
  source: GPUCopyExternalImageSource,
  { width, height }: Size,
): DevicePicture | undefined {
  const stride = Math.ceil(width / ROW_PIXELS) * ROW_PIXELS;
  const side = gpu.limits.maxTextureDimension2D;
  if (width > side || height > side || height * stride * 4 > gpu.largestTensor) return undefined;
  const pixels = keep(Tensor.empty(gpu, [height, stride], { dtype: 'u32', label: 'picture' }));
  try {
    gpu.capture(source, { width, height, stride }, pixels.buffer);
  } catch (error) {
    pixels.dispose();
    throw error;
  }
  return { pixels, width, height, start: 0, stepX: 1, stepY: stride };
}

/** A rectangle of a picture, sharing its pixels. */
export function partOf(picture: DevicePicture, x: number, y: number, size: Size): DevicePicture {
  const { pixels, start, stepX, stepY } = picture;
  const { width, height } = size;
  return { pixels, width, height, start: start + x * stepX + y * stepY, stepX, stepY };
}

/** The picture turned clockwise by so many quarters, sharing its pixels. */
export function turnedOnDevice(picture: DevicePicture, quarters: number): DevicePicture {
  let turned = picture;
  for (let i = 0; i < quarters; i++) {
    // Its first row is the first column from below.
    const { pixels, width, height, start, stepX, stepY } = turned;
    turned = { pixels, width: height, height: width, start: start + (height - 1) * stepY, stepX: -stepY, stepY: stepX };
  }
  return turned;
}
