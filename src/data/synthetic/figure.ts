import type { Face } from '../sample.js';
import {
  blur,
  type Canvas,
  type Colour,
  fillShape,
  type Paint as Filling,
  scaleColour,
  scratch,
  shapes,
  srgb,
} from './canvas.js';
import { headGrid, HeadShape, type Point3 } from './head.js';
import { ATTRIBUTES, MATERIAL, materialOf, Mesh, Raster } from './mesh.js';
import { bump, curve, noise, smoothStep } from './noise.js';
import { Paint } from './paint.js';
import type { Person } from './person.js';

/** What an arm does; a raised one may hide what is beside and above the head. */
export type Arm = 'down' | 'bent' | 'raised';

/** Where and how a person stands in the picture. Angles in radians; the picture's y is down. */
export interface Pose {
  /** Middle of the head, in pixels. */
  readonly x: number;
  readonly y: number;
  /** Half the height of the head, in pixels. */
  readonly scale: number;
  /** Positive: the face looks to the right of the picture, down, and its top leans to the right. */
  readonly yaw: number;
  readonly pitch: number;
  readonly roll: number;
  /** Of the body. */
  readonly bodyYaw: number;
  readonly bodyRoll: number;
  /** Distance of the camera, in half heights of the head. */
  readonly distance: number;
  /** On the left and on the right in the picture. */
  readonly arms: readonly [Arm, Arm];
}

/** The light of a scene. */
export interface Light {
  /** Towards the main light: x to the right, y down, z to the viewer; of length 1. */
  readonly direction: Point3;
  readonly key: Colour;
  /** What comes from above and from below, everywhere. */
  readonly sky: Colour;
  readonly ground: Colour;
  /** 0: no cast shadows; 1: full ones. */
  readonly shadows: number;
}

/** Heights of the face that boxes enclose: from a little under the hairline to the chin. */
const BOX_TOP = -0.5;
const BOX_BOTTOM = 0.9;
/** Angle from the front at which a face ends in a box: before the ears, and nearer to the visible one in profile. */
const boxAngle = (yaw: number): number => 1.15 + 0.27 * smoothStep(0.5, 1.4, Math.abs(yaw));

const SHOULDER_WIDTH = curve([
  [1.05, 0.36],
  [1.2, 0.46],
  [1.35, 0.8],
  [1.5, 1.2],
  [1.7, 1.5],
  [2.2, 1.56],
  [3.2, 1.42],
  [4.4, 1.24],
  [5.4, 1.32],
  [6.4, 1.36],
]);
const BODY_DEPTH = curve([
  [1.05, 0.36],
  [1.25, 0.42],
  [1.5, 0.55],
  [2, 0.74],
  [3, 0.84],
  [4.4, 0.76],
  [6.4, 0.82],
]);
const TORSO_ROWS = [1.05, 1.15, 1.22, 1.3, 1.38, 1.46, 1.55, 1.65, 1.8, 2.05, 2.5, 3.2, 4.2, 5.4, 6.4] as const;
/** Heights of hips and feet. */
const [HIPS, FEET] = [5.9, 14];
const TORSO_COLUMNS = 24;
const NECK_COLUMNS = 20;

/** Rotation matrix of a pose, row by row: yaw first, then pitch, then roll. */
function rotation(yaw: number, pitch: number, roll: number): readonly number[] {
  const [sy, cy] = [Math.sin(yaw), Math.cos(yaw)];
  const [sp, cp] = [Math.sin(pitch), Math.cos(pitch)];
  const [sr, cr] = [Math.sin(roll), Math.cos(roll)];
  // Yaw about y: x' = cy·x + sy·z, z' = −sy·x + cy·z. Pitch about x: y' = cp·y + sp·z, z' = −sp·y + cp·z.
  const [a, b, c] = [cy, 0, sy];
  const [d, e, f] = [-sp * sy, cp, sp * cy];
  const [g, h, i] = [-cp * sy, -sp, cp * cy];
  return [
    cr * a - sr * d,
    cr * b - sr * e,
    cr * c - sr * f,
    sr * a + cr * d,
    sr * b + cr * e,
    sr * c + cr * f,
    g,
    h,
    i,
  ];
}

function turn(m: readonly number[], x: number, y: number, z: number, out: Point3): void {
  out[0] = m[0]! * x + m[1]! * y + m[2]! * z;
  out[1] = m[3]! * x + m[4]! * y + m[5]! * z;
  out[2] = m[6]! * x + m[7]! * y + m[8]! * z;
}

/** A person in a pose: what is drawn, and what is labelled. */
export class Figure {
  readonly person: Person;
  readonly pose: Pose;
  readonly shape: HeadShape;
  readonly #head: readonly number[];
  readonly #body: readonly number[];

  constructor(person: Person, pose: Pose) {
    this.person = person;
    this.pose = pose;
    this.shape = new HeadShape(person);
    this.#head = rotation(pose.yaw, pose.pitch, pose.roll);
    this.#body = rotation(pose.bodyYaw, 0, pose.bodyRoll);
  }

  /** The face with exact box and landmarks, in pixels, not clipped to the picture. */
  face(): Face {
    const { shape, person } = this;
    const point: Point3 = [0, 0, 0];
    const limit = boxAngle(this.pose.yaw);
    const corners = [Infinity, Infinity, -Infinity, -Infinity] as [number, number, number, number];
    for (let row = 0; row <= 14; row++) {
      const y = BOX_TOP + ((BOX_BOTTOM - BOX_TOP) * row) / 14;
      for (let column = -6; column <= 6; column++) {
        const angle = (limit * column) / 6;
        shape.point(angle, y, point);
        point[1] += shape.drop(point[0], y);
        const [x, v] = this.#project(point, this.#head);
        corners[0] = Math.min(corners[0], x);
        corners[1] = Math.min(corners[1], v);
        corners[2] = Math.max(corners[2], x);
        corners[3] = Math.max(corners[3], v);
      }
    }
    const { eyeX, eyeY, noseY, mouthWidth } = person;
    const landmarks = [
      [-eyeX, eyeY],
      [eyeX, eyeY],
      [0, noseY],
      [-mouthWidth, shape.mouthLine(mouthWidth)],
      [mouthWidth, shape.mouthLine(mouthWidth)],
    ].flatMap(([x = 0, y = 0]) => {
      this.#onFace(x, y, point);
      // Corners go down with half of the jaw.
      point[1] += 0.8 * shape.drop(x, y);
      return this.#project(point, this.#head);
    });
    return { box: corners, landmarks };
  }

  /** The point of the face straight in front of (x, y). */
  #onFace(x: number, y: number, out: Point3): void {
    const { shape } = this;
    const sine = Math.min(1, (Math.abs(x) / shape.halfWidth(y)) ** (1 / 0.92));
    shape.point(Math.sign(x) * Math.asin(sine), y, out);
  }

  /** Where a point of the body is in the picture. */
  onBody(x: number, y: number, z: number): Point3 {
    const point: Point3 = [x, y, z];
    const [px, py] = this.#project(point, this.#body);
    return [px, py, point[2]];
  }

  #project(point: Point3, matrix: readonly number[]): [number, number] {
    const { x, y, scale, distance } = this.pose;
    const [px, py, pz] = point;
    turn(matrix, px, py, pz, point);
    const near = (scale * distance) / (distance - point[2]);
    return [x + point[0] * near, y + point[1] * near];
  }

  /** Fills the mesh with the person; `coarse` for heads of few pixels. */
  build(mesh: Mesh, coarse: boolean): void {
    mesh.clear();
    this.#addHead(mesh, coarse);
    this.#addEars(mesh);
    const { hairLength, headwear } = this.person;
    if (headwear === 'hood') this.#addCurtain(mesh, 1.3, 1.28, 0.1);
    else if (hairLength > 0) this.#addCurtain(mesh, hairLength, 1.15, 0.06 + 0.6 * this.person.hairThickness);
    if (headwear === 'cap' || headwear === 'brim') this.#addBrim(mesh, headwear === 'cap');
    this.#addNeck(mesh);
    this.#addTorso(mesh);
  }

  #write(mesh: Mesh, vertex: number, base: Point3, placed: Point3, ambient: number): void {
    const { position, attributes } = mesh;
    position[3 * vertex] = placed[0];
    position[3 * vertex + 1] = placed[1];
    position[3 * vertex + 2] = placed[2];
    const at = ATTRIBUTES * vertex;
    attributes[at] = base[0];
    attributes[at + 1] = base[1];
    attributes[at + 2] = base[2];
    attributes[at + 6] = ambient;
  }

  #addHead(mesh: Mesh, coarse: boolean): void {
    const { shape, person } = this;
    const { rows, angles } = headGrid(coarse);
    const base: Point3 = [0, 0, 0];
    const placed: Point3 = [0, 0, 0];
    const options = { closed: true, material: MATERIAL.head, twoSided: false };
    mesh.addGrid(rows.length, angles.length, options, (row, column, vertex) => {
      const y = rows[row]!;
      const angle = angles[column]!;
      shape.point(angle, y, base);
      const [x, , z] = base;
      let ambient = Math.cos(angle) > 0.1 ? shape.ambient(x, y) : 1 - 0.3 * smoothStep(0.4, 0.9, y);
      let out = 0;
      const worn = shape.headwear(angle, y);
      if (worn > 0) {
        out = person.headwearThickness * smoothStep(0, 0.12, worn);
        if (person.headwear === 'brim') out += 0.2 * smoothStep(0.1, 0.5, worn) * smoothStep(-1.02, -0.8, y);
      } else {
        if (person.hairCover > 0) {
          const inside = shape.hair(angle, y);
          if (inside > -0.12) {
            const grown = smoothStep(-0.02, 0.2, inside);
            const squeezed = person.headwear === 'none' ? 1 : 0.3;
            out =
              person.hairThickness *
              squeezed *
              grown *
              (1 + 0.35 * person.hairCurl * noise(angle * 5 + person.grain, y * 6));
          }
        }
        if (worn > -0.12 && person.headwear !== 'none') ambient *= 1 - 0.3 * smoothStep(-0.12, 0, worn);
      }
      if (person.mask && y > 0.25 && Math.abs(angle) < 0.9) out += 0.04;
      const away = 1 + out / 0.8;
      placed[0] = x * away;
      placed[1] =
        -0.1 + (y + 0.1) * (1 + (out / 0.8) * smoothStep(0.2, -0.6, y)) + shape.drop(x, y) * smoothStep(-0.3, 0.5, z);
      placed[2] = -0.1 + (z + 0.1) * away;
      turn(this.#head, placed[0], placed[1], placed[2], placed);
      this.#write(mesh, vertex, base, placed, ambient);
    });
  }

  #addEars(mesh: Mesh): void {
    const { shape, person } = this;
    if (person.headwear === 'hood') return;
    const covered = person.hairLength > 0 && person.grain % 1 < 0.7;
    if (covered) return;
    const base: Point3 = [0, 0, 0];
    const placed: Point3 = [0, 0, 0];
    for (const sign of [-1, 1]) {
      const width = shape.halfWidth(0.12);
      mesh.addGrid(9, 12, { closed: true, material: MATERIAL.ear, twoSided: true }, (row, column, vertex) => {
        const turnAngle = (2 * Math.PI * column) / 12;
        const ring = row / 8;
        // A dish: its rim stands off the head, its middle is hollow.
        const radius =
          Math.sin(Math.PI * Math.min(1, 0.15 + 0.85 * ring) * 0.5) * (1 - 0.15 * bump(((turnAngle - 1.6) / 0.9) ** 2));
        const [along, up] = [Math.cos(turnAngle) * radius * 0.12, Math.sin(turnAngle) * radius * 0.21];
        const lift = 0.1 + 0.09 * bump(((ring - 0.75) / 0.4) ** 2) - 0.05 * along * 8;
        base[0] = sign * (width + lift * 0.6);
        base[1] = 0.14 + up;
        base[2] = -0.06 + along;
        turn(this.#head, base[0], base[1], base[2], placed);
        this.#write(mesh, vertex, base, placed, 0.55 + 0.45 * ring);
      });
    }
  }

  /** Long hair, or the cloth of a hood: hangs around the head, open in front. */
  #addCurtain(mesh: Mesh, length: number, wide: number, thick: number): void {
    const { shape, person } = this;
    const base: Point3 = [0, 0, 0];
    const placed: Point3 = [0, 0, 0];
    const columns = 32;
    const rows = 18;
    mesh.addGrid(rows, columns, { closed: false, material: MATERIAL.hair, twoSided: true }, (row, column, vertex) => {
      const t = row / (rows - 1);
      const y = -0.75 + (length + 0.75) * t;
      const opening = 1.05 + 0.25 * smoothStep(0.1, 0.4, t) + 0.12 * noise(t * 4 + person.grain, 1);
      const angle = opening + ((2 * Math.PI - 2 * opening) * column) / (columns - 1);
      const body = Math.max(shape.halfWidth(Math.min(y, 0.3)), 0.3);
      const radius =
        (body + thick) * (1 + (wide - 1) * smoothStep(0, 0.5, t)) * (1 + 0.06 * noise(angle * 4 + person.grain, y * 2));
      const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
      base[0] = sine;
      base[1] = y;
      base[2] = cosine;
      placed[0] = radius * sine;
      placed[1] = y;
      placed[2] = cosine > 0 ? 0.62 * radius * cosine : 1.28 * radius * cosine;
      // Below the jaw it follows the body rather than the head.
      const [x, v, z] = placed;
      turn(this.#head, x, v, z, placed);
      const [hx, hy, hz] = placed;
      turn(this.#body, x * 1.1, v, z - 0.05, placed);
      const hanging = 0.6 * smoothStep(0.5, 1.3, y);
      placed[0] += (1 - hanging) * (hx - placed[0]);
      placed[1] += (1 - hanging) * (hy - placed[1]);
      placed[2] += (1 - hanging) * (hz - placed[2]);
      this.#write(mesh, vertex, base, placed, 0.9 - 0.25 * smoothStep(0.4, 1, t));
    });
  }

  #addBrim(mesh: Mesh, cap: boolean): void {
    const { shape, person } = this;
    const base: Point3 = [0, 0, 0];
    const placed: Point3 = [0, 0, 0];
    const rows = 6;
    const columns = cap ? 17 : 33;
    const backwards = cap && person.grain % 1 < 0.12;
    mesh.addGrid(rows, columns, { closed: false, material: MATERIAL.brim, twoSided: true }, (row, column, vertex) => {
      const t = row / (rows - 1);
      const span = cap ? 1.15 : Math.PI;
      const angle = -span + (2 * span * column) / (columns - 1) + (backwards ? Math.PI : 0);
      const forward = Math.cos(angle);
      const edge = person.headwearY + 0.02 - 0.06 * forward;
      shape.point(angle, edge, base);
      const reach = cap ? 0.52 * Math.sqrt(Math.max(0, 1 - ((column / (columns - 1)) * 2 - 1) ** 2)) : 0.42;
      const away = 1 + person.headwearThickness * 0.8;
      placed[0] = base[0] * away + Math.sin(angle) * reach * t * (cap ? 0.35 : 1);
      placed[1] =
        edge + (cap ? 0.1 * t + 0.12 * (1 - forward) * t : 0.1 * t * t - 0.05 * Math.abs(Math.sin(angle)) * t);
      placed[2] = base[2] * away + forward * reach * t * (cap ? 1.25 : 1);
      base[0] = angle * 0.4;
      base[1] = t * 0.4;
      turn(this.#head, placed[0], placed[1], placed[2], placed);
      this.#write(mesh, vertex, base, placed, 0.9);
    });
  }

  #addNeck(mesh: Mesh): void {
    const { person } = this;
    const base: Point3 = [0, 0, 0];
    const placed: Point3 = [0, 0, 0];
    const rows = 7;
    const thick = (0.36 + 0.05 * (person.shoulders - 0.95) * 5) * person.width;
    mesh.addGrid(
      rows,
      NECK_COLUMNS,
      { closed: true, material: MATERIAL.neck, twoSided: false },
      (row, column, vertex) => {
        const t = row / (rows - 1);
        const angle = -Math.PI + (2 * Math.PI * column) / NECK_COLUMNS;
        const radius = thick * (1 + 0.22 * t * t);
        base[0] = Math.sin(angle) * radius;
        base[1] = 0.45 + 0.85 * t;
        base[2] = Math.cos(angle) * radius * 0.95 - 0.2;
        turn(this.#head, base[0], base[1], base[2], placed);
        const [hx, hy, hz] = placed;
        turn(this.#body, base[0], base[1], base[2], placed);
        const lower = smoothStep(0.1, 0.9, t);
        placed[0] = hx + lower * (placed[0] - hx);
        placed[1] = hy + lower * (placed[1] - hy);
        placed[2] = hz + lower * (placed[2] - hz);
        this.#write(mesh, vertex, base, placed, 0.55 + 0.35 * t);
      },
    );
  }

  #addTorso(mesh: Mesh): void {
    const { person } = this;
    const base: Point3 = [0, 0, 0];
    const placed: Point3 = [0, 0, 0];
    mesh.addGrid(
      TORSO_ROWS.length,
      TORSO_COLUMNS,
      { closed: true, material: MATERIAL.torso, twoSided: false },
      (row, column, vertex) => {
        const y = TORSO_ROWS[row]!;
        const angle = -Math.PI + (2 * Math.PI * column) / TORSO_COLUMNS;
        const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
        const wide = SHOULDER_WIDTH(y) * (1 + (person.shoulders - 1) * smoothStep(1.1, 1.5, y));
        base[0] = Math.sign(sine) * Math.abs(sine) ** 0.85 * wide;
        base[1] = y;
        base[2] = Math.sign(cosine) * Math.abs(cosine) ** 0.8 * BODY_DEPTH(y) - 0.22;
        turn(this.#body, base[0], base[1], base[2], placed);
        this.#write(mesh, vertex, base, placed, 0.75 + 0.2 * smoothStep(1.1, 1.6, y));
      },
    );
  }
}

const mesh = new Mesh();
const raster = new Raster();
const shadowMap = new Raster();

/** Edge of a shadow map, and what it covers around the head, in half heights. */
const SHADOW_EDGE = 96;
const SHADOW_REACH = 2;
const SHADOW_BIAS = 0.07;

function drawShadowMap(light: Light, corners: Float32Array): readonly number[] {
  const [lx, ly, lz] = light.direction;
  // A basis whose third axis points to the light and whose second is as far down as can be.
  const along = Math.abs(ly) < 0.9 ? [-lx * ly, 1 - ly * ly, -lz * ly] : [-lx * lz, -ly * lz, 1 - lz * lz];
  const length = Math.hypot(...along);
  const [vx, vy, vz] = [along[0]! / length, along[1]! / length, along[2]! / length];
  const basis = [vy * lz - vz * ly, vz * lx - vx * lz, vx * ly - vy * lx, vx, vy, vz, lx, ly, lz];
  const scale = SHADOW_EDGE / (2 * SHADOW_REACH);
  const { position, vertexCount } = mesh;
  for (let i = 0; i < vertexCount; i++) {
    const [x, y, z] = [position[3 * i]!, position[3 * i + 1]! - 0.3, position[3 * i + 2]!];
    corners[3 * i] = (basis[0]! * x + basis[1]! * y + basis[2]! * z + SHADOW_REACH) * scale;
    corners[3 * i + 1] = (basis[3]! * x + basis[4]! * y + basis[5]! * z + SHADOW_REACH) * scale;
    corners[3 * i + 2] = basis[6]! * x + basis[7]! * y + basis[8]! * z;
  }
  shadowMap.resize(SHADOW_EDGE, SHADOW_EDGE);
  shadowMap.draw(mesh, corners, true);
  return basis;
}

/** Share of the light that reaches a point, from the four texels around it. */
function lit(basis: readonly number[], x: number, y: number, z: number): number {
  const down = y - 0.3;
  const scale = SHADOW_EDGE / (2 * SHADOW_REACH);
  const u = (basis[0]! * x + basis[1]! * down + basis[2]! * z + SHADOW_REACH) * scale - 0.5;
  const v = (basis[3]! * x + basis[4]! * down + basis[5]! * z + SHADOW_REACH) * scale - 0.5;
  if (u < 0 || v < 0 || u >= SHADOW_EDGE - 1 || v >= SHADOW_EDGE - 1) return 1;
  const depth = basis[6]! * x + basis[7]! * down + basis[8]! * z + SHADOW_BIAS;
  const column = Math.floor(u);
  const row = Math.floor(v);
  const [s, t] = [u - column, v - row];
  const at = row * SHADOW_EDGE + column;
  const map = shadowMap.depth;
  const a = map[at]! > depth ? 0 : 1;
  const b = map[at + 1]! > depth ? 0 : 1;
  const c = map[at + SHADOW_EDGE]! > depth ? 0 : 1;
  const d = map[at + SHADOW_EDGE + 1]! > depth ? 0 : 1;
  return (a + s * (b - a)) * (1 - t) + (c + s * (d - c)) * t;
}

/** A limb between two points of the picture. */
function drawLimb(canvas: Canvas, from: Point3, to: Point3, radius: number, taper: number, paint: Filling): void {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const half = Math.hypot(dx, dy) / 2;
  fillShape(
    canvas,
    {
      x: (from[0] + to[0]) / 2,
      y: (from[1] + to[1]) / 2,
      angle: Math.atan2(dy, dx),
      reach: half + radius,
      across: radius,
    },
    shapes.capsule(half, radius, taper),
    paint,
  );
}

/** Colours of a rounded body from its lit to its dark side. */
function roundPaint(colour: Colour, { direction, key, sky, ground }: Light): Filling {
  const [lx, ly, lz] = direction;
  const shade = (facing: number): Colour =>
    [0, 1, 2].map(
      (c) => colour[c]! * (key[c]! * Math.max(0, facing) + (sky[c]! + ground[c]!) / 2),
    ) as unknown as Colour;
  const flat = Math.hypot(lx, ly);
  return {
    from: shade(0.8 * lz - 0.6 * flat),
    to: shade(0.8 * lz + 0.6 * flat),
    angle: Math.atan2(ly, lx),
    grain: 0.12,
    frequency: 0.15,
    round: 0.25,
  };
}

function drawLegs(canvas: Canvas, figure: Figure, light: Light): void {
  const { person, pose } = figure;
  if (pose.y + HIPS * pose.scale > canvas.height) return;
  const trousers = person.grain % 1 < 0.5 ? scaleColour(person.clothesSecond, 0.6) : srgb(0.16, 0.17, 0.22);
  for (const side of [-0.66, 0.66]) {
    const hip = figure.onBody(side, HIPS, 0);
    const foot = figure.onBody(side * (1 + 0.5 * (person.grain % 1)), FEET, 0);
    drawLimb(canvas, hip, foot, 0.62 * pose.scale, 0.55, roundPaint(trousers, light));
  }
}

function drawArms(canvas: Canvas, figure: Figure, light: Light): void {
  const { person, pose } = figure;
  const { scale, arms } = pose;
  const bare = person.grain % 1 < 0.3;
  const cloth = roundPaint(person.pattern === 'noise' ? person.clothesSecond : person.clothes, light);
  const skin = roundPaint(person.skin, light);
  for (const [i, arm] of arms.entries()) {
    const side = i === 0 ? -1 : 1;
    const wide = 1.42 * person.shoulders;
    const shoulder = figure.onBody(side * wide, 1.85, 0);
    const [ex, ey] = arm === 'raised' ? [wide + 1.1, 1.2] : [wide + 0.35, 4.3];
    const elbow = figure.onBody(side * ex, ey, arm === 'down' ? 0 : 0.4);
    const inward = person.grain % 3;
    const [wx, wy] =
      arm === 'raised' ? [wide + 0.9, -1.3] : arm === 'bent' ? [0.2 + 0.4 * inward, 3.1] : [wide + 0.3, 6.5];
    const wrist = figure.onBody(side * wx, wy, arm === 'bent' ? 1 : 0);
    drawLimb(canvas, shoulder, elbow, 0.4 * scale, 0.85, cloth);
    drawLimb(canvas, elbow, wrist, 0.32 * scale, 0.7, bare ? skin : cloth);
    const hand = figure.onBody(
      side * (wx + (arm === 'bent' ? -0.4 : 0)),
      wy + (arm === 'raised' ? -0.5 : 0.3),
      arm === 'bent' ? 1 : 0,
    );
    drawLimb(canvas, wrist, hand, 0.3 * scale, 0.8, skin);
  }
}

/** Draws a person into a scene; `defocus` is a blur in pixels. */
export function drawFigure(canvas: Canvas, figure: Figure, light: Light, defocus: number): void {
  const { pose } = figure;
  const { scale, distance } = pose;
  drawLegs(canvas, figure, light);
  const away = Math.cos(pose.bodyYaw) < 0;
  if (away) drawArms(canvas, figure, light);
  const samples = scale < 4 ? 5 : scale < 7 ? 4 : scale < 11 ? 3 : scale < 26 ? 2 : 1;
  figure.build(mesh, scale * samples < 40);
  const { position, attributes, triangles, kinds, vertexCount } = mesh;
  const corners = scratch('corners', 3 * vertexCount);
  const basis = light.shadows > 0 ? drawShadowMap(light, corners) : undefined;
  const reach = scale * 2.4;
  const margin = Math.ceil(2 * defocus);
  const left = Math.max(0, Math.floor(pose.x - reach) - margin);
  const right = Math.min(canvas.width, Math.ceil(pose.x + reach) + margin);
  const top = Math.max(0, Math.floor(pose.y - 2 * scale) - margin);
  const bottom = Math.min(canvas.height, Math.ceil(pose.y + 6.6 * scale) + margin);
  const [width, height] = [right - left, bottom - top];
  if (width <= 0 || height <= 0) return;
  for (let i = 0; i < vertexCount; i++) {
    const near = (scale * distance) / (distance - position[3 * i + 2]!);
    corners[3 * i] = (pose.x + position[3 * i]! * near - left) * samples;
    corners[3 * i + 1] = (pose.y + position[3 * i + 1]! * near - top) * samples;
    corners[3 * i + 2] = position[3 * i + 2]!;
  }
  raster.resize(width * samples, height * samples);
  raster.draw(mesh, corners, true);

  const tile = scratch('tile', width * height * 4);
  tile.fill(0, 0, width * height * 4);
  const paint = new Paint(figure.shape);
  const forward: Point3 = [0, 0, 0];
  turn(rotation(pose.yaw, pose.pitch, pose.roll), 0, 0, 1, forward);
  const [lx, ly, lz] = light.direction;
  const half = Math.hypot(lx, ly, lz + 1) || 1;
  const [hx, hy, hz] = [lx / half, ly / half, (lz + 1) / half];
  const { key, sky, ground } = light;
  const wide = width * samples;
  for (let y = 0; y < height * samples; y++) {
    const line = 4 * Math.floor(y / samples) * width;
    for (let x = 0; x < wide; x++) {
      const pixel = y * wide + x;
      const t = raster.triangle[pixel]!;
      if (t < 0) continue;
      const wa = raster.first[pixel]!;
      const wb = raster.second[pixel]!;
      const wc = 1 - wa - wb;
      const a = ATTRIBUTES * triangles[3 * t]!;
      const b = ATTRIBUTES * triangles[3 * t + 1]!;
      const c = ATTRIBUTES * triangles[3 * t + 2]!;
      const px = wa * attributes[a]! + wb * attributes[b]! + wc * attributes[c]!;
      const py = wa * attributes[a + 1]! + wb * attributes[b + 1]! + wc * attributes[c + 1]!;
      const pz = wa * attributes[a + 2]! + wb * attributes[b + 2]! + wc * attributes[c + 2]!;
      let nx = wa * attributes[a + 3]! + wb * attributes[b + 3]! + wc * attributes[c + 3]!;
      let ny = wa * attributes[a + 4]! + wb * attributes[b + 4]! + wc * attributes[c + 4]!;
      let nz = wa * attributes[a + 5]! + wb * attributes[b + 5]! + wc * attributes[c + 5]!;
      const ambient = wa * attributes[a + 6]! + wb * attributes[b + 6]! + wc * attributes[c + 6]!;
      paint.at(materialOf(kinds[t]!), px, py, pz);
      if (paint.flat > 0) {
        nx += paint.flat * 4 * forward[0];
        ny += paint.flat * 4 * forward[1];
        nz += paint.flat * 4 * forward[2];
      }
      const norm = (nz < -0.05 ? -1 : 1) / (Math.sqrt(nx * nx + ny * ny + nz * nz) || 1);
      nx *= norm;
      ny *= norm;
      nz *= norm;
      const z = raster.depth[pixel]!;
      let shadow = 1;
      if (basis) {
        const near = (scale * distance) / (distance - z);
        const vx = ((x + 0.5) / samples + left - pose.x) / near;
        const vy = ((y + 0.5) / samples + top - pose.y) / near;
        shadow = 1 - light.shadows * (1 - lit(basis, vx, vy, z));
      }
      const facing = nx * lx + ny * ly + nz * lz;
      const soft = paint.soft;
      // Light enters skin and comes out beside: red reaches furthest around the terminator.
      const red = Math.max(0, (facing + 0.28 * soft) / (1 + 0.28 * soft)) * shadow;
      const green = Math.max(0, (facing + 0.14 * soft) / (1 + 0.14 * soft)) * shadow;
      const blue = Math.max(0, (facing + 0.1 * soft) / (1 + 0.1 * soft)) * shadow;
      const up = 0.5 - 0.5 * ny;
      let gloss = 0;
      if (paint.shine > 0 && facing > 0) {
        const h = Math.max(0, nx * hx + ny * hy + nz * hz);
        const h4 = h * h * h * h;
        const h16 = h4 * h4 * h4 * h4;
        gloss = paint.shine * shadow * (0.12 * h16 + 0.25 * h16 * h16);
      }
      const at = line + 4 * Math.floor(x / samples);
      tile[at] =
        tile[at]! + paint.red * (key[0] * red + ambient * (ground[0] + up * (sky[0] - ground[0]))) + gloss * key[0];
      tile[at + 1] =
        tile[at + 1]! +
        paint.green * (key[1] * green + ambient * (ground[1] + up * (sky[1] - ground[1]))) +
        gloss * key[1];
      tile[at + 2] =
        tile[at + 2]! +
        paint.blue * (key[2] * blue + ambient * (ground[2] + up * (sky[2] - ground[2]))) +
        gloss * key[2];
      tile[at + 3] = tile[at + 3]! + 1;
    }
  }
  if (defocus > 0) blur(tile, width, height, 4, defocus);
  const share = 1 / (samples * samples);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 4 * (y * width + x);
      const cover = tile[from + 3]! * share;
      if (cover <= 0) continue;
      const to = 3 * ((y + top) * canvas.width + x + left);
      for (let k = 0; k < 3; k++) canvas.data[to + k] = canvas.data[to + k]! * (1 - cover) + tile[from + k]! * share;
    }
  }
  if (!away) drawArms(canvas, figure, light);
}
