import { bump, curve, noise, smoothStep } from './noise.js';
import type { Person } from './person.js';

/** Half width of an average head at each height: cranium, cheekbones, jaw, chin. */
const WIDTH = curve([
  [-1, 0],
  [-0.97, 0.19],
  [-0.9, 0.345],
  [-0.78, 0.48],
  [-0.6, 0.585],
  [-0.35, 0.645],
  [-0.1, 0.65],
  [0.12, 0.635],
  [0.35, 0.585],
  [0.55, 0.515],
  [0.7, 0.44],
  [0.82, 0.345],
  [0.91, 0.25],
  [0.97, 0.14],
  [1, 0],
]);
/** How far the front reaches, without features. */
const FRONT = curve([
  [-1, 0],
  [-0.96, 0.2],
  [-0.88, 0.38],
  [-0.75, 0.53],
  [-0.55, 0.64],
  [-0.3, 0.69],
  [-0.05, 0.69],
  [0.2, 0.68],
  [0.5, 0.68],
  [0.75, 0.66],
  [0.86, 0.62],
  [0.94, 0.52],
  [0.985, 0.38],
  [1, 0.3],
]);
const BACK = curve([
  [-1, 0],
  [-0.97, 0.24],
  [-0.88, 0.48],
  [-0.7, 0.72],
  [-0.45, 0.9],
  [-0.15, 0.97],
  [0.1, 0.92],
  [0.35, 0.75],
  [0.55, 0.5],
  [0.7, 0.25],
  [0.85, 0.0],
  [1, -0.12],
]);
/** Height of the nose's ridge from its root (0) over its tip (1) to the lip. */
const RIDGE = curve([
  [-0.25, 0],
  [0, 0.1],
  [0.25, 0.24],
  [0.55, 0.58],
  [0.8, 0.9],
  [0.95, 1],
  [1.05, 0.95],
  [1.15, 0.62],
  [1.25, 0.22],
  [1.4, 0],
]);

/** Heights of the rows of a head's mesh: fine where eyes, nose and mouth are. */
const ROWS: readonly number[] = [
  ...[-1, -0.995, -0.98, -0.955, -0.92, -0.87, -0.81, -0.74, -0.66, -0.58, -0.5, -0.42, -0.35, -0.29, -0.24],
  ...Array.from({ length: 19 }, (_, i) => -0.2 + 0.03 * i),
  ...Array.from({ length: 23 }, (_, i) => 0.37 + 0.02 * i),
  ...[0.835, 0.86, 0.885, 0.91, 0.935, 0.955, 0.972, 0.986, 0.995, 1],
];
/** Angles of its columns from the front, to both sides. */
const ANGLES: readonly number[] = [
  ...Array.from({ length: 6 }, (_, i) => -Math.PI + 0.27 * i),
  ...Array.from({ length: 6 }, (_, i) => -1.5 + 0.1 * i),
  ...Array.from({ length: 37 }, (_, i) => -0.9 + 0.05 * i),
  ...Array.from({ length: 6 }, (_, i) => 1 + 0.1 * i),
  ...Array.from({ length: 5 }, (_, i) => 1.8 + 0.27 * i),
];

/** The mesh's rows and columns; `coarse` halves both, for heads of few pixels. */
export function headGrid(coarse: boolean): { readonly rows: readonly number[]; readonly angles: readonly number[] } {
  const half = (list: readonly number[]): number[] =>
    list.filter((_, i) => i % 2 === 0 || (list === ROWS && i === list.length - 1));
  return coarse ? { rows: half(ROWS), angles: half(ANGLES) } : { rows: ROWS, angles: ANGLES };
}

/** A point in a head's own space: x to the viewer's right, y down from the middle, z out of the face; chin at y = 1. */
export type Point3 = [x: number, y: number, z: number];

/** The shape of a head: a body turned about the vertical, with brow, eye sockets, nose, cheekbones, lips and chin on it. */
export class HeadShape {
  readonly person: Person;
  readonly #noseRoot: number;
  readonly #ridgeWidth: number;

  constructor(person: Person) {
    this.person = person;
    this.#noseRoot = person.eyeY - 0.03;
    this.#ridgeWidth = 0.125 * person.noseWidth;
  }

  /** Half width of the head at a height. */
  halfWidth(y: number): number {
    const { width, jaw, cheeks } = this.person;
    const lower = smoothStep(0.25, 0.75, y);
    const middle = bump(((y - 0.15) / 0.4) ** 2);
    return WIDTH(y) * width * (1 + lower * (jaw - 1)) * (1 + 0.8 * middle * (cheeks - 1));
  }

  /** The skin at an angle from the front and a height, mouth closed; written to `out`. */
  point(angle: number, y: number, out: Point3): void {
    const { person } = this;
    const sine = Math.sin(angle);
    const cosine = Math.cos(angle);
    // Flatter in front than an ellipse.
    const x = this.halfWidth(y) * Math.sign(sine) * Math.abs(sine) ** 0.92;
    const front = smoothStep(0.1, 0.55, cosine);
    let z = cosine >= 0 ? FRONT(y) * cosine ** 0.86 * person.depth : BACK(y) * cosine * person.depth;
    if (front > 0) z += front * this.relief(x, y);
    out[0] = x;
    out[1] = y;
    out[2] = z;
  }

  /** How far features stand out of the face. */
  relief(x: number, y: number): number {
    const p = this.person;
    const side = Math.abs(x);
    const ridge = (y - this.#noseRoot) / (p.noseY - this.#noseRoot);
    let z = 0;
    if (ridge > -0.25 && ridge < 1.4) {
      const across = this.#ridgeWidth * (0.75 + 0.55 * Math.max(0, Math.min(1, ridge)));
      z += p.noseHeight * RIDGE(ridge) * bump((x / across) ** 2);
      z += 0.09 * bump(((side - 0.1 * p.noseWidth) / 0.085) ** 2 + ((y - p.noseY - 0.005) / 0.085) ** 2);
    }
    z -= 0.1 * p.socket * bump(((side - p.eyeX + 0.02) / 0.2) ** 2 + ((y - p.eyeY + 0.01) / 0.12) ** 2);
    z += 0.045 * bump(((side - p.eyeX) / 0.12) ** 2 + ((y - p.eyeY) / 0.085) ** 2);
    z += 0.045 * p.browRidge * bump(((side - 0.22) / 0.3) ** 2 + ((y - p.browY - 0.01) / 0.09) ** 2);
    z += 0.05 * p.cheeks * bump(((side - 0.4) / 0.2) ** 2 + ((y - 0.22) / 0.2) ** 2);
    const smile = Math.max(0, p.smile);
    z += 0.05 * smile * bump(((side - 0.33) / 0.16) ** 2 + ((y - 0.36) / 0.14) ** 2);
    const fold = 0.2 + 0.28 * (y - p.noseY);
    z -= (0.02 + 0.03 * smile + 0.015 * p.wrinkles) * bump(((side - fold) / 0.06) ** 2 + ((y - 0.5) / 0.17) ** 2);
    z += 0.055 * bump((x / 0.3) ** 2 + ((y - p.mouthY) / 0.19) ** 2);
    const width = p.mouthWidth;
    const lip = y - this.mouthLine(x);
    if (side < width && Math.abs(lip) < 0.12) {
      const taper = 1 - (x / width) ** 2;
      z += 0.035 * p.lips * taper * bump(((lip + 0.032) / 0.04) ** 2);
      z += 0.045 * p.lips * taper * bump(((lip - 0.042) / 0.05) ** 2);
      z -= 0.03 * taper * bump((lip / 0.022) ** 2);
    }
    z -= 0.03 * bump((x / 0.2) ** 2 + ((y - 0.765) / 0.055) ** 2);
    z += 0.07 * p.chin * bump((x / 0.22) ** 2 + ((y - 0.89) / 0.14) ** 2);
    return z;
  }

  /** Height of the line between the lips. */
  mouthLine(x: number): number {
    const { mouthY, mouthWidth, smile } = this.person;
    const t = x / mouthWidth;
    return mouthY - 0.055 * smile * t * t + 0.008 * bump((t / 0.3) ** 2);
  }

  /** How far a point of the face has gone down because the mouth is open. */
  drop(x: number, y: number): number {
    const { mouthWidth, open } = this.person;
    if (open <= 0) return 0;
    const outside = smoothStep(0.75 * mouthWidth, 2.2 * mouthWidth, Math.abs(x));
    const reach = 0.016 + 0.24 * outside;
    return 0.24 * open * smoothStep(-reach, reach, y - this.mouthLine(x));
  }

  /** Light that reaches a point from all around: less in sockets, under the nose and the lip, beside the nose. */
  ambient(x: number, y: number): number {
    const p = this.person;
    const side = Math.abs(x);
    let light = 1;
    light -= 0.34 * p.socket * bump(((side - p.eyeX + 0.06) / 0.2) ** 2 + ((y - p.eyeY + 0.035) / 0.11) ** 2);
    light -= 0.3 * bump((x / 0.17) ** 2 + ((y - p.noseY - 0.085) / 0.06) ** 2);
    light -= 0.18 * bump(((side - 0.16 * p.noseWidth) / 0.06) ** 2 + ((y - p.noseY) / 0.1) ** 2);
    light -= 0.25 * bump((x / 0.2) ** 2 + ((y - p.mouthY - 0.125) / 0.045) ** 2);
    light -= 0.3 * smoothStep(0.9, 1.02, y);
    return light;
  }

  /** Above 0 where hair grows, by how far inside its border; `angle` from the front. */
  hair(angle: number, y: number): number {
    const p = this.person;
    const side = Math.abs(angle);
    const [front, temple, sideburn, ear, nape] = p.hairline;
    const t = side / 0.42;
    let border: number;
    if (t < 2) border = front + (temple - front) * smoothStep(0.6, 2, t);
    else if (t < 2.9) border = temple + (sideburn - temple) * smoothStep(2.1, 2.9, t);
    else if (t < 3.5) border = sideburn;
    else if (t < 4.3) border = sideburn + (ear - sideburn) * smoothStep(3.5, 4.3, t);
    else border = ear + (nape - ear) * smoothStep(4.3, 6, t);
    if (p.fringe > 0 && side < 1.3) {
      const swept = Math.min(1, Math.max(0, 0.75 + 0.5 * p.parting * angle));
      border += p.fringe * swept * (1 - smoothStep(0.75, 1.25, side)) * (0.85 + 0.3 * noise(angle * 7 + p.grain, 3));
    }
    const ragged = 0.05 * noise(angle * 9 + p.grain, y * 3) + 0.035 * noise(angle * 31, y * 11 + p.grain);
    return border + ragged - y;
  }

  /** Above 0 where what is worn on the head covers it. */
  headwear(angle: number, y: number): number {
    const { headwear, headwearY } = this.person;
    const forward = Math.cos(angle);
    switch (headwear) {
      case 'none':
        return -1;
      case 'hood': {
        const side = Math.abs(angle);
        // An opening from above the brow to under the chin.
        const reach = 1.22 * Math.sqrt(Math.max(0, 1 - ((y - 0.25) / 0.95) ** 2));
        return Math.max(0.6 * (side - reach), headwearY - 0.12 - y);
      }
      case 'band':
        return 0.11 - Math.abs(y - headwearY - 0.04 * forward);
      case 'helmet':
        return headwearY + 0.06 + 0.55 * smoothStep(0.6, -0.2, forward) - y;
      case 'cap':
        return headwearY - 0.06 * forward + 0.04 - y;
      case 'beanie':
      case 'turban':
      case 'brim':
        return headwearY - 0.1 * forward + 0.1 - y;
    }
  }
}
