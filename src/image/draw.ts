import { describe, isPromise } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import type { Face } from './face.js';
import { checkPicture, type Picture } from './picture.js';

/** 0 to 255 each. */
export type Colour = readonly [red: number, green: number, blue: number];

const BOX: Colour = [64, 220, 96];
const LABEL: Colour = [12, 40, 18];
/** Left eye, right eye, nose, left and right mouth corner. */
const POINTS: readonly Colour[] = [
  [255, 64, 64],
  [64, 128, 255],
  [255, 208, 0],
  [255, 96, 208],
  [0, 224, 224],
];

/** Digits and the point, five rows of three bits each, the leftmost bit first. */
const GLYPHS: Readonly<Record<string, readonly number[]>> = {
  '0': [7, 5, 5, 5, 7],
  '1': [2, 6, 2, 2, 7],
  '2': [7, 1, 7, 4, 7],
  '3': [7, 1, 7, 1, 7],
  '4': [5, 5, 7, 1, 1],
  '5': [7, 4, 7, 1, 7],
  '6': [7, 4, 7, 5, 7],
  '7': [7, 1, 2, 2, 2],
  '8': [7, 5, 7, 5, 7],
  '9': [7, 5, 7, 1, 7],
  '.': [0, 0, 0, 0, 2],
};

/**
 * The picture with a box, five dots and the score of every face, as a new picture; the given one stays as it is.
 * @throws ArgumentError for what is no list of faces.
 */
export function drawFaces(picture: Picture, faces: readonly Face[]): Picture {
  checkFaces(faces, 'drawFaces');
  const { data, width, height } = checkPicture(picture, 'drawFaces');
  const canvas = { data: Uint8Array.from(data), width, height };
  // Strokes grow with the picture, and shrink with faces too small for them.
  const base = Math.max(1, Math.round(Math.min(width, height) / 400));
  for (const { box, landmarks, score } of faces) {
    const edge = Math.min(box.x2 - box.x1, box.y2 - box.y1);
    const stroke = Math.max(1, Math.min(base, Math.round(edge / 16)));
    outline(canvas, box, stroke);
    const points = landmarks
      ? [landmarks.leftEye, landmarks.rightEye, landmarks.nose, landmarks.leftMouth, landmarks.rightMouth]
      : [];
    for (const [i, point] of points.entries()) dot(canvas, point.x, point.y, Math.max(1, edge / 28), POINTS[i]!);
    label(canvas, score.toFixed(2), box.x1, box.y1, edge < 40 ? 1 : Math.max(1, base));
  }
  return canvas;
}

/** Throws an ArgumentError for what is no list of faces. */
export function checkFaces(given: unknown, operation: string): void {
  const isList = Array.isArray(given);
  const strange = isList ? (given as readonly unknown[]).findIndex((face) => !isFace(face)) : 0;
  if (isList && strange < 0) return;
  throw new ArgumentError({
    operation,
    expected: 'a list of faces, as `detect` answers it',
    got: isList ? `a list with ${describe((given as readonly unknown[])[strange])} in it` : describe(given),
    remedy: `${isPromise(given) ? 'Await it' : 'Write'}: \`${operation}(picture, await model.detect(picture))\`.`,
  });
}

function isFace(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'box' in value && 'score' in value;
}

/** Fills a rectangle of the canvas, edges rounded to pixels; what lies outside is left out. */
export function fill(canvas: Picture, x1: number, y1: number, x2: number, y2: number, colour: Colour): void {
  const [left, right] = [Math.max(0, Math.round(x1)), Math.min(canvas.width, Math.round(x2))];
  const [top, bottom] = [Math.max(0, Math.round(y1)), Math.min(canvas.height, Math.round(y2))];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) blend(canvas, x, y, colour, 1);
  }
}

/** Mixes `share` (0 to 1) of a colour into the pixel at whole x, y inside the canvas. */
export function blend(canvas: Picture, x: number, y: number, colour: Colour, share: number): void {
  const at = 4 * (y * canvas.width + x);
  for (let c = 0; c < 3; c++) {
    canvas.data[at + c] = Math.round(canvas.data[at + c]! * (1 - share) + colour[c]! * share);
  }
  canvas.data[at + 3] = 255;
}

function outline(canvas: Picture, box: Face['box'], stroke: number): void {
  const { x1, y1, x2, y2 } = box;
  fill(canvas, x1, y1, x2, y1 + stroke, BOX);
  fill(canvas, x1, y2 - stroke, x2, y2, BOX);
  fill(canvas, x1, y1, x1 + stroke, y2, BOX);
  fill(canvas, x2 - stroke, y1, x2, y2, BOX);
}

/** A disc with a soft rim. */
function dot(canvas: Picture, x: number, y: number, radius: number, colour: Colour): void {
  for (let v = Math.max(0, Math.floor(y - radius - 1)); v <= Math.min(canvas.height - 1, y + radius + 1); v++) {
    for (let u = Math.max(0, Math.floor(x - radius - 1)); u <= Math.min(canvas.width - 1, x + radius + 1); u++) {
      const cover = radius + 0.5 - Math.hypot(u + 0.5 - x, v + 0.5 - y);
      if (cover > 0) blend(canvas, u, v, colour, Math.min(1, cover));
    }
  }
}

/** Text on a filled ground, above the box where there is room and always inside the picture. */
function label(canvas: Picture, text: string, x: number, y: number, scale: number): void {
  const width = text.length * 4 * scale + scale;
  const height = 7 * scale;
  const left = Math.max(0, Math.min(canvas.width - width, Math.round(x)));
  const above = Math.round(y) - height;
  const top = Math.max(0, Math.min(canvas.height - height, above < 0 ? Math.round(y) : above));
  fill(canvas, left, top, left + width, top + height, BOX);
  for (let i = 0; i < text.length; i++) {
    for (const [row, bits] of (GLYPHS[text.charAt(i)] ?? []).entries()) {
      for (let column = 0; column < 3; column++) {
        if ((bits & (4 >> column)) === 0) continue;
        const at = left + scale * (1 + 4 * i + column);
        const down = top + scale * (1 + row);
        fill(canvas, at, down, at + scale, down + scale, LABEL);
      }
    }
  }
}
