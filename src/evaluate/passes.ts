import { checkPicture, type Picture } from '../image/picture.js';
import { type Box, type Face, iouOf, type Landmarks, type Point } from '../image/face.js';

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
 * Detections of several passes as one list, best first, by box voting (Gidaris and Komodakis 2015): the best face and all
 * that overlap it by more than `iouThreshold` become one, its score the best one's, its box and landmarks the mean of all,
 * weighted by score; then the best of the rest.
 */
export function voteBoxes(faces: readonly Face[], iouThreshold: number): Face[] {
  let rest = [...faces].sort((a, b) => b.score - a.score);
  const merged: Face[] = [];
  for (let best = rest[0]; best; best = rest[0]) {
    const { box } = best;
    const voters = [best];
    const others: Face[] = [];
    for (const face of rest.slice(1)) (iouOf(box, face.box) > iouThreshold ? voters : others).push(face);
    merged.push(voters.length === 1 ? best : meanFace(best, voters));
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
