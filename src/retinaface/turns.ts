import { applyOrientation } from '../image/exif.js';
import { type AnyPicture, isOnDevice, turnedOnDevice } from '../ops/device_picture.js';

export { turnFaceBack } from '../image/passes.js';

/** What EXIF calls turns clockwise by 0, 1, 2 and 3 quarters. */
const ORIENTATIONS = [1, 6, 3, 8] as const;

/** The picture turned clockwise by so many quarters: on the device by the order in which its pixels are read. */
export function turnedPicture(picture: AnyPicture, quarters: number): AnyPicture {
  if (isOnDevice(picture)) return turnedOnDevice(picture, quarters);
  return applyOrientation(picture, ORIENTATIONS[quarters]!);
}
