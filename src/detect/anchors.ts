/** One level of the pyramid: its stride and the edges of the square anchors of each cell, in pixels. */
export interface AnchorLevel {
  readonly stride: number;
  readonly sizes: readonly number[];
}

/**
 * Anchors [A, 4] as (cx, cy, w, h) in pixels, in the order level, y, x, size; a level has ceil(size / stride) cells a
 * side, centred at (i + ½)·stride.
 */
export function anchorsFor(levels: readonly AnchorLevel[], width: number, height: number): Float32Array<ArrayBuffer> {
  const values: number[] = [];
  for (const { stride, sizes } of levels)
    for (let y = 0; y < Math.ceil(height / stride); y++)
      for (let x = 0; x < Math.ceil(width / stride); x++)
        for (const size of sizes) values.push((x + 0.5) * stride, (y + 0.5) * stride, size, size);
  return Float32Array.from(values);
}
