import { type DetectOptions, MAX_SIDE } from '../retinaface/detect_options.js';
import { number, parsed, readNumber, type Values, whole } from './options.js';

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
};

function sizeOption(given: string, command: string, name: string): 'original' | number {
  return given === 'original' ? given : readNumber(command, name, given, { min: 16, max: MAX_SIDE, integer: true });
}

/** The options of `RetinaFace.detect` that were given. */
export function detectionOf({
  scoreThreshold,
  nmsThreshold,
  maxFaces,
  size,
}: Values<typeof DETECTION_OPTIONS>): DetectOptions {
  return { scoreThreshold, nmsThreshold, maxFaces, ...(size === undefined ? {} : { size }) };
}
