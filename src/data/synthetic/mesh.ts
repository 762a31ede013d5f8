/** Materials of the parts of a person. */
export const MATERIAL = { head: 0, hair: 1, neck: 2, torso: 3, ear: 4, brim: 5 } as const;

/** Numbers of a vertex that shading uses: a point on the undistorted part, a normal, ambient light. */
export const ATTRIBUTES = 7;

const MAX_VERTICES = 24_000;

/** Bits of a triangle's word beside its material. */
const TWO_SIDED = 8;

/**
 * Triangles made of grids of points. Space: x to the right, y down, z towards the viewer. Meshes are filled anew for
 * every head, in the same memory.
 */
export class Mesh {
  readonly position = new Float32Array(MAX_VERTICES * 3);
  readonly attributes = new Float32Array(MAX_VERTICES * ATTRIBUTES);
  readonly triangles = new Uint32Array(MAX_VERTICES * 6);
  /** Of each triangle: its material, and whether it is seen from both sides. */
  readonly kinds = new Uint8Array(MAX_VERTICES * 2);
  vertexCount = 0;
  triangleCount = 0;

  clear(): void {
    this.vertexCount = 0;
    this.triangleCount = 0;
  }

  /**
   * Adds a grid. `place(row, column, vertex)` writes position, the undistorted point and ambient light; normals come from the
   * positions of the neighbours, outward where columns run to the right and rows down.
   */
  addGrid(
    rows: number,
    columns: number,
    options: { readonly closed: boolean; readonly material: number; readonly twoSided: boolean },
    place: (row: number, column: number, vertex: number) => void,
  ): void {
    const start = this.vertexCount;
    if (start + rows * columns > MAX_VERTICES) return;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) place(row, column, start + row * columns + column);
    }
    this.vertexCount += rows * columns;
    this.#normals(start, rows, columns, options.closed);
    const kind = options.material | (options.twoSided ? TWO_SIDED : 0);
    for (let row = 0; row + 1 < rows; row++) {
      for (let column = 0; column < (options.closed ? columns : columns - 1); column++) {
        const next = column + 1 === columns ? 0 : column + 1;
        const a = start + row * columns + column;
        const b = start + row * columns + next;
        const c = start + (row + 1) * columns + column;
        const d = start + (row + 1) * columns + next;
        this.#triangle(a, b, c, kind);
        this.#triangle(b, d, c, kind);
      }
    }
  }

  #triangle(a: number, b: number, c: number, kind: number): void {
    const at = 3 * this.triangleCount;
    this.triangles[at] = a;
    this.triangles[at + 1] = b;
    this.triangles[at + 2] = c;
    this.kinds[this.triangleCount++] = kind;
  }

  #normals(start: number, rows: number, columns: number, closed: boolean): void {
    const { position, attributes } = this;
    for (let row = 0; row < rows; row++) {
      const above = start + Math.max(0, row - 1) * columns;
      const below = start + Math.min(rows - 1, row + 1) * columns;
      for (let column = 0; column < columns; column++) {
        const left = column > 0 ? column - 1 : closed ? columns - 1 : 0;
        const right = column + 1 < columns ? column + 1 : closed ? 0 : column;
        const base = start + row * columns;
        const [l, r] = [3 * (base + left), 3 * (base + right)];
        const [u, d] = [3 * (above + column), 3 * (below + column)];
        const ax = position[r]! - position[l]!;
        const ay = position[r + 1]! - position[l + 1]!;
        const az = position[r + 2]! - position[l + 2]!;
        const bx = position[d]! - position[u]!;
        const by = position[d + 1]! - position[u + 1]!;
        const bz = position[d + 2]! - position[u + 2]!;
        const nx = ay * bz - az * by;
        const ny = az * bx - ax * bz;
        const nz = ax * by - ay * bx;
        const length = Math.hypot(nx, ny, nz) || 1;
        const at = ATTRIBUTES * (base + column);
        attributes[at + 3] = nx / length;
        attributes[at + 4] = ny / length;
        attributes[at + 5] = nz / length;
      }
    }
  }
}

/** What is seen at each pixel: the nearest triangle and the weights of its first two corners. */
export class Raster {
  width = 0;
  height = 0;
  depth = new Float32Array(0);
  triangle = new Int32Array(0);
  first = new Float32Array(0);
  second = new Float32Array(0);

  resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    const count = width * height;
    if (this.depth.length < count) {
      this.depth = new Float32Array(count);
      this.triangle = new Int32Array(count);
      this.first = new Float32Array(count);
      this.second = new Float32Array(count);
    }
    this.depth.fill(-1e9, 0, count);
    this.triangle.fill(-1, 0, count);
  }

  /** Draws the mesh at projected corners (x, y in pixels, z towards the viewer); `cull` drops what faces away. */
  draw(mesh: Mesh, corners: Float32Array, cull: boolean): void {
    const { width, height, depth, triangle, first, second } = this;
    const { triangles, kinds, triangleCount } = mesh;
    for (let t = 0; t < triangleCount; t++) {
      const [a, b, c] = [3 * triangles[3 * t]!, 3 * triangles[3 * t + 1]!, 3 * triangles[3 * t + 2]!];
      const [ax, ay] = [corners[a]!, corners[a + 1]!];
      const [bx, by] = [corners[b]!, corners[b + 1]!];
      const [cx, cy] = [corners[c]!, corners[c + 1]!];
      const area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
      if (area === 0 || (area < 0 && cull && (kinds[t]! & TWO_SIDED) === 0)) continue;
      const left = Math.max(0, Math.ceil(Math.min(ax, bx, cx) - 0.5));
      const right = Math.min(width - 1, Math.floor(Math.max(ax, bx, cx) - 0.5));
      const top = Math.max(0, Math.ceil(Math.min(ay, by, cy) - 0.5));
      const bottom = Math.min(height - 1, Math.floor(Math.max(ay, by, cy) - 0.5));
      if (left > right || top > bottom) continue;
      const scale = 1 / area;
      const [az, bz, cz] = [corners[a + 2]!, corners[b + 2]!, corners[c + 2]!];
      const stepA = -(cy - by) * scale;
      const stepB = -(ay - cy) * scale;
      for (let y = top; y <= bottom; y++) {
        const [px, py] = [left + 0.5, y + 0.5];
        let wa = ((cx - bx) * (py - by) - (cy - by) * (px - bx)) * scale;
        let wb = ((ax - cx) * (py - cy) - (ay - cy) * (px - cx)) * scale;
        let at = y * width + left;
        for (let x = left; x <= right; x++, at++) {
          const wc = 1 - wa - wb;
          if (wa >= 0 && wb >= 0 && wc >= 0) {
            const z = wa * az + wb * bz + wc * cz;
            if (z > depth[at]!) {
              depth[at] = z;
              triangle[at] = t;
              first[at] = wa;
              second[at] = wb;
            }
          }
          wa += stepA;
          wb += stepB;
        }
      }
    }
  }
}

/** The material of a triangle. */
export function materialOf(kind: number): number {
  return kind & (TWO_SIDED - 1);
}
