import { type Face, iouOf, mapLandmarks } from '../image/face.js';
import { type AnyPicture, isOnDevice, partOf } from '../ops/device_picture.js';

/** A part of a picture that is searched on its own. */
export interface Tile {
  /** Its top left corner in the picture. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** The faces whose centres lie here are this tile's: [from, to) on both axes, in pixels of the picture. */
  readonly core: { readonly x: readonly [number, number]; readonly y: readonly [number, number] };
}

/** Corners of tiles are multiples of this, the largest stride: anchors of a tile are then anchors of the picture. */
const GRID = 64;

/**
 * Pixels that neighbours share. Faces up to this size lie wholly in the tile that has their centre; the largest anchors are of
 * 512 pixels and match faces of at most 1.4 times as many.
 */
export const TILE_OVERLAP = 11 * GRID;

/** Pixels by which cores overlap: one face may have two centres, a little apart, in two tiles. */
const MARGIN = 16;

/** Tiles of at most `side` pixels, a multiple of 64 above `overlap`, that cover a picture; in rows. */
export function tilesOf(
  size: { readonly width: number; readonly height: number },
  side: number,
  overlap: number,
): Tile[] {
  const columns = alongAxis(size.width, side, overlap);
  return alongAxis(size.height, side, overlap).flatMap((row) =>
    columns.map((column) => ({
      x: column.start,
      y: row.start,
      width: column.length,
      height: row.length,
      core: { x: column.core, y: row.core },
    })),
  );
}

function alongAxis(length: number, side: number, overlap: number) {
  const step = side - overlap;
  const count = Math.max(1, Math.ceil((length - overlap) / step));
  return Array.from({ length: count }, (_, i) => {
    const start = i * step;
    // Boxes may reach beyond the picture.
    const from = i === 0 ? -Infinity : start + overlap / 2 - MARGIN;
    const to = i === count - 1 ? Infinity : start + side - overlap / 2 + MARGIN;
    return { start, length: Math.min(side, length - start), core: [from, to] as const };
  });
}

/** The pixels of a tile. */
export function cutTile(picture: AnyPicture, tile: Omit<Tile, 'core'>): AnyPicture {
  if (isOnDevice(picture)) return partOf(picture, tile.x, tile.y, tile);
  const { data, width } = picture;
  const cut = new Uint8Array(tile.width * tile.height * 4);
  for (let row = 0; row < tile.height; row++) {
    const from = 4 * ((tile.y + row) * width + tile.x);
    cut.set(data.subarray(from, from + 4 * tile.width), row * tile.width * 4);
  }
  return { data: cut, width: tile.width, height: tile.height };
}

/**
 * Faces of a picture from those of its tiles, best first: of each tile the ones whose centres are its own, and of two from
 * different tiles that overlap by more than `nmsThreshold` the better one.
 */
export function mergeTiles(
  found: readonly { readonly tile: Tile; readonly faces: readonly Face[] }[],
  nmsThreshold: number,
): Face[] {
  const own = found.flatMap(({ tile, faces }) =>
    faces.map((face) => ({ tile, face: moved(face, tile.x, tile.y) })).filter(({ face }) => isOwn(face, tile)),
  );
  own.sort((a, b) => b.face.score - a.face.score);
  const kept: typeof own = [];
  for (const each of own) {
    const twin = kept.some(({ tile, face }) => tile !== each.tile && iouOf(face.box, each.face.box) > nmsThreshold);
    if (!twin) kept.push(each);
  }
  return kept.map(({ face }) => face);
}

function isOwn({ box: { x1, y1, x2, y2 } }: Face, { core }: Tile): boolean {
  const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
  return x >= core.x[0] && x < core.x[1] && y >= core.y[0] && y < core.y[1];
}

function moved({ score, box, landmarks }: Face, dx: number, dy: number): Face {
  return {
    score,
    box: { x1: box.x1 + dx, y1: box.y1 + dy, x2: box.x2 + dx, y2: box.y2 + dy },
    ...(landmarks ? { landmarks: mapLandmarks(landmarks, ({ x, y }) => ({ x: x + dx, y: y + dy })) } : {}),
  };
}
