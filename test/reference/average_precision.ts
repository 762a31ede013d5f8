/** A picture as plain rows: faces [x, y, w, h], whether each counts, detections [x, y, w, h, score]. */
export interface Scene {
  readonly faces: readonly (readonly number[])[];
  readonly counts: readonly boolean[];
  readonly detections: readonly (readonly number[])[];
}

/** Intersection over union of two [x, y, w, h], both edges counted. */
function overlap(a: readonly number[], b: readonly number[]): number {
  const [ax, ay, aw, ah] = a as [number, number, number, number];
  const [bx, by, bw, bh] = b as [number, number, number, number];
  const w = Math.min(ax + aw, bx + bw) - Math.max(ax, bx) + 1;
  const h = Math.min(ay + ah, by + bh) - Math.max(ay, by) + 1;
  return w > 0 && h > 0 ? (w * h) / ((aw + 1) * (ah + 1) + (bw + 1) * (bh + 1) - w * h) : 0;
}

/**
 * The evaluation of WIDER FACE in the words of its protocol, one threshold, picture and detection after another; slow, and
 * with a plain sum at the end.
 */
export function averagePrecision(scenes: readonly Scene[], iouThreshold = 0.5, thresholds = 1000): number {
  const scores = scenes.flatMap(({ detections }) => detections.map((row) => row[4]!));
  const least = Math.min(1, ...scores);
  const greatest = Math.max(0, ...scores);
  const faces = scenes.flatMap(({ counts }) => counts.filter(Boolean)).length;
  const recalls: number[] = [];
  const precisions: number[] = [];
  for (let t = 0; t < thresholds; t++) {
    const threshold = 1 - (t + 1) / thresholds;
    let detected = 0;
    let found = 0;
    for (const { faces: boxes, counts, detections } of scenes) {
      if (boxes.length === 0) continue;
      const hit = new Set<number>();
      for (const row of [...detections].sort((a, b) => b[4]! - a[4]!)) {
        if ((row[4]! - least) / (greatest - least) < threshold) continue;
        const overlaps = boxes.map((box) => overlap(row, box));
        const best = overlaps.indexOf(Math.max(...overlaps));
        if (overlaps[best]! >= iouThreshold) {
          if (!counts[best]) continue;
          hit.add(best);
        }
        detected++;
      }
      found += hit.size;
    }
    recalls.push(found / faces);
    precisions.push(detected === 0 ? 0 : found / detected);
  }
  let area = 0;
  for (let t = 0; t < thresholds; t++) {
    area += (recalls[t]! - (recalls[t - 1] ?? 0)) * Math.max(...precisions.slice(t));
  }
  return area;
}
