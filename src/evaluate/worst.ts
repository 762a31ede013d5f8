import { type Colour, fill } from '../image/draw.js';
import { checkPicture, type Picture } from '../image/picture.js';
import { escapeXml } from './chart_svg.js';
import { matchDetections, type Predictions } from './detections.js';
import type { GroundTruth, Subset } from './ground_truth.js';

/** A face that nothing met, or a detection that met none. */
export interface Fault {
  /** The picture's name. */
  readonly name: string;
  /** x1, y1, x2, y2 in pixels. */
  readonly box: readonly [number, number, number, number];
  /** Of a false alarm. */
  readonly score?: number;
}

/** What a model got most wrong. */
export interface WorstFaults {
  /** Faces that no detection meets at any score, the largest first. */
  readonly misses: readonly Fault[];
  /** Detections that meet no face, or one that a better detection had met, the surest first. */
  readonly falseAlarms: readonly Fault[];
}

/** The worst faults on a subset, at most `limit` of each kind; ties by the order of the pictures. */
export function worstFaults(
  groundTruth: GroundTruth,
  predictions: Predictions,
  options: { readonly subset?: Subset; readonly limit?: number; readonly iouThreshold?: number } = {},
): WorstFaults {
  const { subset = 'hard', limit = 24, iouThreshold = 0.5 } = options;
  const misses: (Fault & { readonly area: number })[] = [];
  const falseAlarms: (Fault & { readonly score: number })[] = [];
  for (const { name, boxes, counts } of groundTruth.pictures) {
    const detections = predictions.get(name);
    const met = new Set<number>();
    if (detections && boxes.length > 0) {
      const { order, face } = matchDetections(boxes, detections, iouThreshold);
      for (const i of order) {
        const of = face[i]!;
        if (of >= 0 && (counts[subset][of] === 0 || !met.has(of))) met.add(of);
        else falseAlarms.push({ name, box: boxAt(detections.boxes, i), score: detections.scores[i]! });
      }
    }
    for (let i = 0; i < boxes.length / 4; i++) {
      if (counts[subset][i] === 0 || met.has(i)) continue;
      const box = boxAt(boxes, i);
      misses.push({ name, box, area: (box[2] - box[0]) * (box[3] - box[1]) });
    }
  }
  return {
    misses: misses
      .sort((a, b) => b.area - a.area)
      .slice(0, limit)
      .map(({ name, box }) => ({ name, box })),
    falseAlarms: falseAlarms.sort((a, b) => b.score - a.score).slice(0, limit),
  };
}

function boxAt(boxes: Float64Array, i: number): [number, number, number, number] {
  return [boxes[4 * i]!, boxes[4 * i + 1]!, boxes[4 * i + 2]!, boxes[4 * i + 3]!];
}

/** Edges of the square picture of a fault, in pixels. */
const EDGE = 192;
const FACES: Colour = [64, 220, 96];
const FAULT: Colour = [255, 64, 64];

/**
 * The place of a fault, 192×192: three times the box, or at least 48 pixels of the picture, scaled; the box in red, the
 * annotated faces in green.
 */
export function faultPicture(source: Picture, { box }: Fault, faces: Float64Array): Picture {
  const picture = checkPicture(source, 'faultPicture');
  const [x1, y1, x2, y2] = box;
  const side = Math.max(48, 3 * Math.max(x2 - x1, y2 - y1));
  const left = (x1 + x2 - side) / 2;
  const top = (y1 + y2 - side) / 2;
  const canvas = cut(picture, left, top, side);
  const scale = EDGE / side;
  const frame = ([a, b, c, d]: readonly [number, number, number, number], colour: Colour): void => {
    const [u1, v1, u2, v2] = [(a - left) * scale, (b - top) * scale, (c - left) * scale, (d - top) * scale];
    fill(canvas, u1, v1, u2, v1 + 2, colour);
    fill(canvas, u1, v2 - 2, u2, v2, colour);
    fill(canvas, u1, v1, u1 + 2, v2, colour);
    fill(canvas, u2 - 2, v1, u2, v2, colour);
  };
  for (let i = 0; i < faces.length / 4; i++) frame(boxAt(faces, i), FACES);
  frame(box, FAULT);
  return canvas;
}

/** A square of the picture scaled to EDGE×EDGE, each pixel the mean of what it covers; grey outside. */
function cut({ data, width, height }: Picture, left: number, top: number, side: number): Picture {
  const out = new Uint8Array(4 * EDGE * EDGE);
  const step = side / EDGE;
  const samples = Math.max(1, Math.ceil(step));
  for (let v = 0; v < EDGE; v++) {
    for (let u = 0; u < EDGE; u++) {
      const sum = [0, 0, 0];
      for (let k = 0; k < samples * samples; k++) {
        const x = Math.floor(left + (u + ((k % samples) + 0.5) / samples) * step);
        const y = Math.floor(top + (v + (Math.floor(k / samples) + 0.5) / samples) * step);
        const inside = x >= 0 && y >= 0 && x < width && y < height;
        for (let c = 0; c < 3; c++) sum[c]! += inside ? data[4 * (y * width + x) + c]! : 128;
      }
      const at = 4 * (v * EDGE + u);
      for (let c = 0; c < 3; c++) out[at + c] = Math.round(sum[c]! / samples ** 2);
      out[at + 3] = 255;
    }
  }
  return { data: out, width: EDGE, height: EDGE };
}

/** A fault with the file that shows it. */
export interface ShownFault extends Fault {
  readonly file: string;
}

/** A web page of faults, their pictures by relative address. */
export function faultPage(title: string, misses: readonly ShownFault[], falseAlarms: readonly ShownFault[]): string {
  const figure = ({ file, name, box, score }: ShownFault): string => {
    const size = `${Math.round(box[2] - box[0])}×${Math.round(box[3] - box[1])} pixels`;
    const words = escapeXml(`${name}: ${score === undefined ? '' : `score ${score.toFixed(3)}, `}${size}`);
    return `<figure><img src="${escapeXml(encodeURI(file))}" width="${EDGE}" height="${EDGE}" alt="${words}"><figcaption>${words}</figcaption></figure>`;
  };
  const section = (heading: string, faults: readonly ShownFault[]): string =>
    `<h2>${heading}</h2>\n${faults.length === 0 ? '<p>None.</p>' : `<div>\n${faults.map(figure).join('\n')}\n</div>`}`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${escapeXml(title)}</title>
<style>
body { font: 14px sans-serif; margin: 24px; }
div { display: flex; flex-wrap: wrap; gap: 12px; }
figure { margin: 0; width: ${EDGE}px; overflow-wrap: anywhere; }
</style>
<h1>${escapeXml(title)}</h1>
<p>Red: the fault. Green: annotated faces.</p>
${section('Largest faces that nothing met', misses)}
${section('Surest detections that met no face, or one that was met before', falseAlarms)}
</html>
`;
}
