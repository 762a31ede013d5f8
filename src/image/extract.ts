import { checkOptions } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import { alignFace, checkMargin, sampleSquare } from './align.js';
import { checkFaces } from './draw.js';
import type { Face } from './face.js';
import { checkPicture, type Picture } from './picture.js';

/** How faces are cut out. */
export interface ExtractOptions {
  /**
   * Turned and scaled so that the landmarks lie as those of every aligned face, as recognition networks take them. Otherwise the box
   * as it lies in the picture. Default true.
   */
  readonly align?: boolean;
  /**
   * Pixels of both sides of what is cut out; 1 to 4096. Default 112 where faces are aligned. Without it a box is cut out pixel for
   * pixel, as far as it lies in the picture; with it, it is widened to a square first, black outside the picture.
   */
  readonly size?: number;
  /** Room on each side, as a share of the face's box (of the aligned face). 0 to 4. Default 0. */
  readonly margin?: number;
}

/**
 * Cuts faces out of a picture, in their order, as pictures of their own. The picture is what the faces were found in.
 * @throws ArgumentError for what is no list of faces, faces without landmarks that were to be aligned, and boxes that lie outside
 * the picture.
 */
export function extractFaces(picture: Picture, faces: readonly Face[], options: ExtractOptions = {}): Picture[] {
  checkOptions('extractFaces', options, { align: 'boolean', size: 'number', margin: 'number' });
  const { align = true, size, margin = 0 } = options;
  checkFaces(faces, 'extractFaces');
  const checked = checkPicture(picture, 'extractFaces');
  checkMargin(margin, 'extractFaces');
  const sized = size === undefined ? {} : { size };
  return faces.map((face) => {
    if (align) return alignFace(checked, face, { margin, ...sized });
    return size === undefined ? cutBox(checked, face, margin) : squareBox(checked, face, margin, size);
  });
}

/** The box and its margin, pixel for pixel, as far as it lies in the picture. */
function cutBox({ data, width, height }: Picture, { box }: Face, margin: number): Picture {
  const [across, down] = [margin * (box.x2 - box.x1), margin * (box.y2 - box.y1)];
  const within = (value: number, most: number): number => Math.min(most, Math.max(0, Math.round(value)));
  const [left, right] = [within(box.x1 - across, width), within(box.x2 + across, width)];
  const [top, bottom] = [within(box.y1 - down, height), within(box.y2 + down, height)];
  if (!(right > left && bottom > top)) throw outside(box, width, height);
  const cut = new Uint8Array((right - left) * (bottom - top) * 4);
  for (let y = top; y < bottom; y++) {
    const from = 4 * (y * width + left);
    cut.set(data.subarray(from, from + 4 * (right - left)), 4 * (y - top) * (right - left));
  }
  return { data: cut, width: right - left, height: bottom - top };
}

/** The box, widened to a square around its centre, with its margin, at another size. */
function squareBox(picture: Picture, { box }: Face, margin: number, size: number): Picture {
  const edge = Math.max(box.x2 - box.x1, box.y2 - box.y1) * (1 + 2 * margin);
  const [x, y] = [(box.x1 + box.x2 - edge) / 2, (box.y1 + box.y2 - edge) / 2];
  if (!(edge > 0 && x < picture.width && y < picture.height && x + edge > 0 && y + edge > 0)) {
    throw outside(box, picture.width, picture.height);
  }
  return sampleSquare(picture, { a: edge / size, b: 0, x, y }, size, 'extractFaces');
}

function outside(box: Face['box'], width: number, height: number): ArgumentError {
  const { x1, y1, x2, y2 } = box;
  return new ArgumentError({
    operation: 'extractFaces',
    expected: `boxes inside the picture of ${width}×${height}`,
    got: `one from (${x1}, ${y1}) to (${x2}, ${y2})`,
    remedy: 'Pass the picture that the faces were found in.',
  });
}
