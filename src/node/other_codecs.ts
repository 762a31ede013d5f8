import type sharpPackage from 'sharp';
import { ImageError } from '../gpu/errors.js';
import { checkSize, MAX_PIXELS, type Picture } from '../image/picture.js';
import { decodeImage, otherFile } from './codecs.js';

type Sharp = typeof sharpPackage;

let loading: Promise<Sharp | undefined> | undefined;

/** The package `sharp`, which reads more formats, where it is installed. */
export function loadSharp(): Promise<Sharp | undefined> {
  return (loading ??= import('sharp').then(
    (module) => module.default,
    () => undefined,
  ));
}

/**
 * Decodes a picture, upright after its EXIF orientation: PNG and JPEG as `decodeImage` does, WebP, AVIF, GIF (the first
 * picture), TIFF and JPEG XL through the package `sharp`, where that is installed and reads them. `source` is what errors
 * call it; `sharpOf` answers the package, or undefined.
 * @throws ImageError for what is no picture, is damaged, or needs `sharp`.
 */
export async function decodePicture(
  bytes: Uint8Array,
  source: string,
  sharpOf: () => Promise<Sharp | undefined> = loadSharp,
): Promise<Picture> {
  const other = otherFile(bytes);
  if (!other?.sharp) return decodeImage(bytes, source);
  const operation = `read ${source}`;
  const sharp = await sharpOf();
  if (!sharp) {
    throw new ImageError({
      operation,
      expected: 'a PNG or JPEG picture, or the package `sharp`, which reads others',
      got: other.name,
      remedy: 'Install it, `npm install sharp`, or convert the picture to PNG or JPEG.',
    });
  }
  try {
    const image = sharp(bytes, { limitInputPixels: MAX_PIXELS });
    const { width, height } = await image.metadata();
    checkSize(operation, width, height);
    // Without an angle it turns a picture upright.
    const upright = image.rotate().toColourspace('srgb').ensureAlpha();
    const { data, info } = await upright.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    return { data, width: info.width, height: info.height };
  } catch (cause) {
    if (cause instanceof ImageError) throw cause;
    throw new ImageError({
      operation,
      expected: 'a picture that the package `sharp` reads here',
      got: `${other.name} (${cause instanceof Error ? cause.message : String(cause)})`,
      remedy: 'Convert it to PNG or JPEG; a file that others cannot read either is damaged: fetch it again.',
      cause,
    });
  }
}
