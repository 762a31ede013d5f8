import { checkOptions, describe, isPromise } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import type { Face, Landmarks, Point } from './face.js';
import { checkPicture, type Picture } from './picture.js';

/** Where the five points lie in an aligned face of 112×112 pixels: the template that face recognition is trained on. */
const TEMPLATE: readonly Point[] = [
  { x: 38.2946, y: 51.6963 },
  { x: 73.5318, y: 51.5014 },
  { x: 56.0252, y: 71.7366 },
  { x: 41.5493, y: 92.3655 },
  { x: 70.7299, y: 92.2041 },
];
const TEMPLATE_SIZE = 112;

/**
 * Cuts a face out, turned and scaled so that its landmarks lie as those of every aligned face: a similarity transform by
 * least squares (Umeyama 1991), bilinear, black outside the picture. Takes a detected face, or its landmarks. `size`: pixels
 * of both sides, 1 to 4096, 112 by default; `margin`: room on each side, as a share of the aligned face without it, 0 to 4, none by
 * default.
 * @throws ArgumentError for a face without landmarks, when they are one point or not finite, and for options out of range.
 */
export function alignFace(
  picture: Picture,
  face: Landmarks | Face,
  options: { readonly size?: number; readonly margin?: number } = {},
): Picture {
  checkOptions('alignFace', options, { size: 'number', margin: 'number' });
  const { size = TEMPLATE_SIZE, margin = 0 } = options;
  checkSquare(size, 'alignFace');
  checkMargin(margin, 'alignFace');
  const checked = checkPicture(picture, 'alignFace');
  const { leftEye, rightEye, nose, leftMouth, rightMouth } = landmarksOf(face);
  const place = (at: number): number => (size * (at / TEMPLATE_SIZE + margin)) / (1 + 2 * margin);
  const target = TEMPLATE.map(({ x, y }) => ({ x: place(x), y: place(y) }));
  // From the aligned face back to the picture, since every pixel of the result asks where it comes from.
  const back = similarity(target, [leftEye, rightEye, nose, leftMouth, rightMouth]);
  return sampleSquare(checked, back, size, 'alignFace');
}

/** `p → (a·px − b·py + x, b·px + a·py + y)`: turned, scaled and moved. */
export interface Similarity extends Point {
  readonly a: number;
  readonly b: number;
}

/** A square of `size` pixels, each from where `back` leads it in the picture: bilinear, black outside. */
export function sampleSquare(
  { data, width, height }: Picture,
  { a, b, x: dx, y: dy }: Similarity,
  size: number,
  operation: string,
): Picture {
  checkSquare(size, operation);
  const out = new Uint8Array(size * size * 4);
  const at = (x: number, y: number, channel: number): number =>
    x < 0 || y < 0 || x >= width || y >= height ? 0 : data[4 * (y * width + x) + channel]!;
  for (let v = 0; v < size; v++) {
    for (let u = 0; u < size; u++) {
      // Coordinates count pixel centres at halves.
      const x = a * (u + 0.5) - b * (v + 0.5) + dx - 0.5;
      const y = b * (u + 0.5) + a * (v + 0.5) + dy - 0.5;
      const left = Math.floor(x);
      const top = Math.floor(y);
      const [fx, fy] = [x - left, y - top];
      const pixel = 4 * (v * size + u);
      for (let c = 0; c < 3; c++) {
        const upper = at(left, top, c) * (1 - fx) + at(left + 1, top, c) * fx;
        const lower = at(left, top + 1, c) * (1 - fx) + at(left + 1, top + 1, c) * fx;
        out[pixel + c] = Math.round(upper * (1 - fy) + lower * fy);
      }
      out[pixel + 3] = 255;
    }
  }
  return { data: out, width: size, height: size };
}

/** Throws an ArgumentError unless a margin is a share of a face that may be cut out. */
export function checkMargin(margin: number, operation: string): void {
  if (margin >= 0 && margin <= 4) return;
  throw new ArgumentError({
    operation,
    expected: 'a margin of 0 to 4',
    got: String(margin),
    remedy: 'Pass a share of the face: 0.2 leaves a fifth of it on each side.',
  });
}

function checkSquare(size: number, operation: string): void {
  if (Number.isInteger(size) && size >= 1 && size <= 4096) return;
  throw new ArgumentError({
    operation,
    expected: 'a whole size of 1 to 4096 pixels',
    got: String(size),
    remedy: 'Pass another size; recognition networks take 112.',
  });
}

function landmarksOf(face: Landmarks | Face): Landmarks {
  const given: unknown = face;
  const isObject = typeof given === 'object' && given !== null;
  const landmarks = (isObject && 'box' in given ? (given as Face).landmarks : given) as Landmarks | undefined;
  const points = ['leftEye', 'rightEye', 'nose', 'leftMouth', 'rightMouth'] as const;
  if (typeof landmarks === 'object' && (landmarks as unknown) !== null && points.every((name) => name in landmarks)) {
    return landmarks;
  }
  throw new ArgumentError({
    operation: 'alignFace',
    expected: `a face with landmarks, or the landmarks: ${points.join(', ')}`,
    got: isObject && 'box' in given ? 'a face without landmarks' : describe(given),
    remedy:
      isPromise(given) || Array.isArray(given)
        ? 'Pass one face of what `await model.detect(picture)` answers.'
        : 'Pass a face of a network with the landmark task, as `detect` answers it.',
  });
}

/** The one that brings `from` closest to `to`. */
function similarity(from: readonly Point[], to: readonly Point[]): Similarity {
  const mean = (points: readonly Point[], axis: 'x' | 'y'): number =>
    points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [fx, fy, tx, ty] = [mean(from, 'x'), mean(from, 'y'), mean(to, 'x'), mean(to, 'y')];
  let spread = 0;
  let along = 0;
  let across = 0;
  for (const [i, point] of from.entries()) {
    const [px, py] = [point.x - fx, point.y - fy];
    const [qx, qy] = [to[i]!.x - tx, to[i]!.y - ty];
    spread += px * px + py * py;
    along += px * qx + py * qy;
    across += px * qy - py * qx;
  }
  const a = along / spread;
  const b = across / spread;
  if (!Number.isFinite(a) || !Number.isFinite(b) || Math.hypot(a, b) < 1e-9) {
    throw new ArgumentError({
      operation: 'alignFace',
      expected: 'five finite landmarks that are not one point',
      got: to.map(({ x, y }) => `(${x}, ${y})`).join(' '),
      remedy: 'Pass the landmarks of a detected face.',
    });
  }
  return { a, b, x: tx - a * fx + b * fy, y: ty - b * fx - a * fy };
}
