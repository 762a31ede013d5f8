import { type DetectOptions, MAX_SCALE, MAX_SIDE, type Rotation } from '../retinaface/detect_options.js';
import { listOf, number, parsed, readNumber, type Values, whole, wrong } from './options.js';

const fraction = { min: 0, max: 1 };

/** How faces are searched for, as all commands that do so take it. */
export const DETECTION_OPTIONS = {
  scoreThreshold: number({ flag: 'score', value: 'S', ...fraction, fallback: 0.5, help: 'least score, 0 to 1' }),
  nmsThreshold: number({
    flag: 'nms',
    value: 'T',
    ...fraction,
    fallback: 0.4,
    help: 'largest overlap of two faces, 0 to 1',
  }),
  maxFaces: whole({ value: 'N', min: 1, fallback: 750, help: 'at most so many faces a picture' }),
  size: parsed(sizeOption, {
    value: 'original|N',
    help: 'pixel for pixel (in tiles where the device needs them), or fitted to N×N',
    shownDefault: 'own size, long side at most 2150',
  }),
  scales: listOf((given, command, name) => readNumber(command, name, given, { min: 0.01, max: MAX_SCALE }), {
    value: 'F,…',
    shownDefault: '1; without --size, at 640, too, where that is above 1280',
    help: 'search at the size times each of these, and let what several find vote: 1,2 for faces of a few pixels',
  }),
  rotations: listOf(rotationOption, {
    value: 'DEG,…',
    fallback: '0',
    help: 'search turned clockwise by each of these, 0, 90, 180, 270: for pictures that lie on their side or head',
  }),
};

function rotationOption(given: string, command: string, name: string): Rotation {
  const found = ([0, 90, 180, 270] as const).find((degrees) => String(degrees) === given);
  if (found !== undefined) return found;
  throw wrong(command, `${name} to be some of 0, 90, 180, 270`, `'${given}'`, 'Pass them with commas between.');
}

function sizeOption(given: string, command: string, name: string): 'original' | number {
  return given === 'original' ? given : readNumber(command, name, given, { min: 16, max: MAX_SIDE, integer: true });
}

/** The options of `RetinaFace.detect` that were given. */
export function detectionOf({
  scoreThreshold,
  nmsThreshold,
  maxFaces,
  size,
  scales,
  rotations,
}: Values<typeof DETECTION_OPTIONS>): DetectOptions {
  return { scoreThreshold, nmsThreshold, maxFaces, rotations, ...(size && { size }), ...(scales && { scales }) };
}
