/** One level of the pyramid: its stride and the edges of the square anchors of each cell, in pixels. */
export interface AnchorLevel {
  readonly stride: number;
  readonly sizes: readonly number[];
}

/** How many anchors a picture of this size has: ceil(size / stride) cells a side of each level, times its sizes. */
export function anchorCount(levels: readonly AnchorLevel[], width: number, height: number): number {
  let count = 0;
  for (const { stride, sizes } of levels)
    count += Math.ceil(height / stride) * Math.ceil(width / stride) * sizes.length;
  return count;
}

/**
 * Anchors [A, 4] as (cx, cy, w, h) in pixels, in the order level, y, x, size; a level has ceil(size / stride) cells a
 * side, centred at (i + ½)·stride.
 */
export function anchorsFor(levels: readonly AnchorLevel[], width: number, height: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(anchorCount(levels, width, height) * 4);
  let at = 0;
  for (const { stride, sizes } of levels) {
    for (let y = 0; y < Math.ceil(height / stride); y++) {
      for (let x = 0; x < Math.ceil(width / stride); x++) {
        for (const size of sizes) {
          values[at++] = (x + 0.5) * stride;
          values[at++] = (y + 0.5) * stride;
          values[at++] = size;
          values[at++] = size;
        }
      }
    }
  }
  return values;
}
