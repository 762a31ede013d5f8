import { type Box, type Face, iouOf, type Landmarks, mapLandmarks, type Point } from './face.js';
import type { Size } from './letterbox.js';
import { checkPicture, type Picture } from './picture.js';

/** The picture mirrored left to right. */
export function mirrorPicture(picture: Picture): Picture {
  const { data, width, height } = checkPicture(picture, 'mirrorPicture');
  const pixels = new Uint32Array(Uint8Array.from(data).buffer);
  for (let y = 0; y < height; y++) pixels.subarray(y * width, (y + 1) * width).reverse();
  return { data: new Uint8Array(pixels.buffer), width, height };
}

/** A face of a mirrored picture where it lies in the picture itself: left and right points change places. */
export function mirrorFace({ score, box, landmarks }: Face, width: number): Face {
  const mirror = ({ x, y }: Point): Point => ({ x: width - x, y });
  return {
    score,
    box: { x1: width - box.x2, y1: box.y1, x2: width - box.x1, y2: box.y2 },
    ...(landmarks
      ? {
          landmarks: {
            leftEye: mirror(landmarks.rightEye),
            rightEye: mirror(landmarks.leftEye),
            nose: mirror(landmarks.nose),
            leftMouth: mirror(landmarks.rightMouth),
            rightMouth: mirror(landmarks.leftMouth),
          },
        }
      : {}),
  };
}

/**
 * A face of a picture that was turned clockwise by so many quarters, where it lies in the picture itself, whose size this is.
 * Its points keep their names: left is left where the face is upright.
 */
export function turnFaceBack(face: Face, quarters: number, { width, height }: Size): Face {
  if (quarters === 0) return face;
  const turn = ({ x, y }: Point): Point =>
    quarters === 1
      ? { x: y, y: height - x }
      : quarters === 2
        ? { x: width - x, y: height - y }
        : { x: width - y, y: x };
  const a = turn({ x: face.box.x1, y: face.box.y1 });
  const b = turn({ x: face.box.x2, y: face.box.y2 });
  return {
    score: face.score,
    box: { x1: Math.min(a.x, b.x), y1: Math.min(a.y, b.y), x2: Math.max(a.x, b.x), y2: Math.max(a.y, b.y) },
    ...(face.landmarks ? { landmarks: mapLandmarks(face.landmarks, turn) } : {}),
  };
}

/**
 * Detections of several passes as one list, best first, by box voting (Gidaris and Komodakis 2015): the best face and all
 * that overlap it by more than `iouThreshold` become one, its score the best one's, its box and landmarks the mean of all,
 * weighted by score; then the best of the rest. Those that do not `agree` with the best one, seen upside down where it was
 * upright, have no vote.
 */
export function voteBoxes<F extends Face>(
  faces: readonly F[],
  iouThreshold: number,
  agree: (a: F, b: F) => boolean = () => true,
): Face[] {
  let rest = [...faces].sort((a, b) => b.score - a.score);
  const merged: Face[] = [];
  for (let best = rest[0]; best; best = rest[0]) {
    const { box } = best;
    const voters = [best];
    const others: F[] = [];
    for (const face of rest.slice(1)) (iouOf(box, face.box) > iouThreshold ? voters : others).push(face);
    const agreeing = voters.filter((face) => face === best || agree(voters[0]!, face));
    merged.push(agreeing.length === 1 ? best : meanFace(best, agreeing));
    rest = others;
  }
  return merged;
}

function meanFace(best: Face, voters: readonly Face[]): Face {
  const mean = (faces: readonly Face[], value: (face: Face) => number): number => {
    let sum = 0;
    let weights = 0;
    for (const face of faces) {
      sum += face.score * value(face);
      weights += face.score;
    }
    return weights > 0 ? sum / weights : value(best);
  };
  const side = (key: keyof Box): number => mean(voters, ({ box }) => box[key]);
  const marked = voters.filter(({ landmarks }) => landmarks);
  const point = (key: keyof Landmarks): Point => ({
    x: mean(marked, ({ landmarks }) => landmarks![key].x),
    y: mean(marked, ({ landmarks }) => landmarks![key].y),
  });
  return {
    score: best.score,
    box: { x1: side('x1'), y1: side('y1'), x2: side('x2'), y2: side('y2') },
    ...(best.landmarks
      ? {
          landmarks: {
            leftEye: point('leftEye'),
            rightEye: point('rightEye'),
            nose: point('nose'),
            leftMouth: point('leftMouth'),
            rightMouth: point('rightMouth'),
          },
        }
      : {}),
  };
}
