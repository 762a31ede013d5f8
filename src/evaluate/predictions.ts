import { FileError } from '../gpu/errors.js';
import type { Detections } from './detections.js';
import { pictureName } from './ground_truth.js';

/** Numbers of a row: the box and its score, and five points where they are kept. */
const ROW = 5;
const LANDMARK_ROW = 15;

/**
 * Detections of one picture from an official prediction file: a line with the picture's name, one with the number of
 * detections, and for each `x y w h score`; ten more numbers are five landmarks. `name` is the picture that it must be of.
 * @throws FileError with the line.
 */
export function parsePredictions(text: string, source: string, name: string): Detections {
  const lines = text.trimEnd().split(/\r?\n/);
  const fail = (at: number, expected: string): FileError =>
    new FileError({
      operation: `read predictions from ${source}, line ${at + 1}`,
      expected,
      got: at < lines.length ? `'${lines[at]!.slice(0, 60)}'` : 'the end of the file',
      remedy: 'Write the file again: it is damaged, was cut short or belongs to another picture.',
    });
  const file = name.slice(name.lastIndexOf('/') + 1);
  const given = pictureName(lines[0]!.trim());
  if (given.slice(given.lastIndexOf('/') + 1) !== file) throw fail(0, `the name '${file}'`);
  const countText = (lines[1] ?? '').trim();
  if (!/^\d+$/.test(countText)) throw fail(1, 'the number of detections');
  const count = Number(countText);
  // Each detection takes a line: a forged number must not claim memory.
  if (count > lines.length - 2) throw fail(lines.length, `${count} detections`);
  const boxes = new Float64Array(4 * count);
  const scores = new Float64Array(count);
  let landmarks: Float64Array | undefined;
  for (let i = 0; i < count; i++) {
    const row = (lines[i + 2] ?? '').trim().split(/\s+/);
    const numbers = row.map(Number);
    const wanted = i > 0 ? (landmarks ? LANDMARK_ROW : ROW) : row.length;
    if (
      (row.length !== ROW && row.length !== LANDMARK_ROW) ||
      row.length !== wanted ||
      row.includes('') ||
      !numbers.every((number) => Number.isFinite(number))
    ) {
      throw fail(i + 2, `detection ${i + 1} of ${count}: x y w h score`);
    }
    if (i === 0 && row.length === LANDMARK_ROW) landmarks = new Float64Array(10 * count);
    const [x, y, w, h, score] = numbers as [number, number, number, number, number];
    boxes.set([x, y, x + w, y + h], 4 * i);
    scores[i] = score;
    landmarks?.set(numbers.slice(ROW), 10 * i);
  }
  if (lines.length > count + 2) throw fail(count + 2, `nothing after ${count} detections`);
  return { boxes, scores, ...(landmarks ? { landmarks } : {}) };
}

/** A coordinate as prediction files hold it: to a thousandth of a pixel. */
function place(value: number): number {
  return Math.round(value * 1000) / 1000 + 0;
}

/**
 * The detections to the precision of prediction files: a thousandth of a pixel, nine digits of a score. Figures from
 * memory and from files are the same where both go through here.
 */
export function roundDetections({ boxes, scores, landmarks }: Detections): Detections {
  const rounded = new Float64Array(boxes.length);
  for (let i = 0; i < boxes.length; i += 4) {
    const [x, y] = [place(boxes[i]!), place(boxes[i + 1]!)];
    rounded.set([x, y, x + place(boxes[i + 2]! - x), y + place(boxes[i + 3]! - y)], i);
  }
  return {
    boxes: rounded,
    scores: scores.map((score) => Number(score.toPrecision(9))),
    ...(landmarks ? { landmarks: landmarks.map(place) } : {}),
  };
}

/** An official prediction file; landmarks, where there are some, follow each score. `parsePredictions` reads it back. */
export function formatPredictions(name: string, { boxes, scores, landmarks }: Detections): string {
  const rows = Array.from(scores, (score, i) => {
    const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
    const points = landmarks?.subarray(10 * i, 10 * i + 10) ?? [];
    return `${[x1, y1, place(x2 - x1), place(y2 - y1), score, ...points].join(' ')}\n`;
  });
  return `${name.slice(name.lastIndexOf('/') + 1)}\n${scores.length}\n${rows.join('')}`;
}
