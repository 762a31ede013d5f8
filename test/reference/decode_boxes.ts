import { zeros, type Array64 } from './array64.js';

/** The greatest exponent that decoding takes: a box grows at most 1000/16 = 62.5-fold. */
export const MAXIMUM_EXPONENT = Math.log(1000 / 16);

export interface BoxCode {
  /** Codes of centres and landmarks are multiplied by this: 1, or 0.1 in the published networks. */
  readonly centreVariance?: number;
  /** Codes of widths and heights are multiplied by this: 1, or 0.2 in the published networks. */
  readonly sizeVariance?: number;
}

/** Centre and size of the xyxy box that starts at `at`. */
function centreSize(boxes: Array64, at: number): { cx: number; cy: number; w: number; h: number } {
  const [x1, y1, x2, y2] = [boxes.data[at]!, boxes.data[at + 1]!, boxes.data[at + 2]!, boxes.data[at + 3]!];
  return { cx: (x1 + x2) / 2, cy: (y1 + y2) / 2, w: x2 - x1, h: y2 - y1 };
}

/** Boxes xyxy from codes (tx, ty, tw, th) [..., n, 4] relative to anchors xyxy of the same number, or of one image's. */
export function decodeBoxes(
  code: Array64,
  anchors: Array64,
  { centreVariance = 1, sizeVariance = 1 }: BoxCode = {},
): Array64 {
  const boxes = zeros(code.shape);
  for (let i = 0; i < code.data.length; i += 4) {
    const anchor = centreSize(anchors, i % anchors.data.length);
    const cx = anchor.cx + code.data[i]! * centreVariance * anchor.w;
    const cy = anchor.cy + code.data[i + 1]! * centreVariance * anchor.h;
    const w = anchor.w * Math.exp(Math.min(code.data[i + 2]! * sizeVariance, MAXIMUM_EXPONENT));
    const h = anchor.h * Math.exp(Math.min(code.data[i + 3]! * sizeVariance, MAXIMUM_EXPONENT));
    boxes.data.set([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], i);
  }
  return boxes;
}

/** Five points (x, y) from codes [..., n, 10] relative to anchors xyxy of the same number, or of one image's. */
export function decodeLandmarks(code: Array64, anchors: Array64, { centreVariance = 1 }: BoxCode = {}): Array64 {
  const points = zeros(code.shape);
  code.data.forEach((value, i) => {
    const anchor = centreSize(anchors, (Math.floor(i / 10) * 4) % anchors.data.length);
    const [centre, size] = i % 2 === 0 ? [anchor.cx, anchor.w] : [anchor.cy, anchor.h];
    points.data[i] = centre + value * centreVariance * size;
  });
  return points;
}

/** The codes that decodeBoxes turns back into boxes, both [n, 4] xyxy with positive sizes. */
export function encodeBoxes(
  boxes: Array64,
  anchors: Array64,
  { centreVariance = 1, sizeVariance = 1 }: BoxCode = {},
): Array64 {
  const code = zeros(boxes.shape);
  for (let i = 0; i < boxes.data.length; i += 4) {
    const [box, anchor] = [centreSize(boxes, i), centreSize(anchors, i)];
    code.data[i] = (box.cx - anchor.cx) / anchor.w / centreVariance;
    code.data[i + 1] = (box.cy - anchor.cy) / anchor.h / centreVariance;
    code.data[i + 2] = Math.log(box.w / anchor.w) / sizeVariance;
    code.data[i + 3] = Math.log(box.h / anchor.h) / sizeVariance;
  }
  return code;
}
