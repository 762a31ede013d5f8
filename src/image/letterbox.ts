/** Width and height in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Where a picture lies in a larger canvas: at its top left corner, scaled. */
export interface Placement extends Size {
  /** Pixels of the canvas per pixel of the picture. */
  readonly scale: number;
}

/**
 * The largest placement of a picture inside a canvas that keeps its shape. What is left of the canvas lies to the right
 * or below, so a point of the canvas divided by `scale` is the point of the picture.
 */
export function letterbox(width: number, height: number, canvas: Size): Placement {
  const scale = Math.min(canvas.width / width, canvas.height / height);
  return {
    scale,
    width: Math.min(canvas.width, Math.max(1, Math.round(width * scale))),
    height: Math.min(canvas.height, Math.max(1, Math.round(height * scale))),
  };
}
