import { checkOptions } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import type { Picture } from '../image/picture.js';
import { type Random, randomOf } from './random.js';
import type { Face, PictureSource } from './sample.js';
import {
  drawBackground,
  drawClutter,
  drawOccluder,
  drawWriting,
  LETTER,
  type Occluder,
} from './synthetic/background.js';
import { blur, type Canvas, type Colour, makeCanvas } from './synthetic/canvas.js';
import { type Arm, drawFigure, Figure, type Light, type Pose } from './synthetic/figure.js';
import { takePicture } from './synthetic/finish.js';
import { drawPerson, skinColour } from './synthetic/person.js';

/** What synthetic scenes look like. */
export interface SyntheticOptions {
  /** Edge of the square picture, in pixels; at least 32. Default 320. */
  readonly size?: number;
  /** Fewest and most faces a picture. Default 0 to 12. */
  readonly faces?: readonly [fewest: number, most: number];
  /** Heights of the boxes of faces, in pixels. Default 6 to five eighths of the size. */
  readonly faceHeights?: readonly [smallest: number, largest: number];
}

interface Scene {
  /** From the furthest to the nearest. */
  readonly figures: readonly Figure[];
  /** Of each figure: its face, unless it is seen from behind. */
  readonly faces: readonly (Face | undefined)[];
  readonly occluders: readonly { readonly kind: Occluder; readonly face: Face; readonly skin: Colour }[];
  readonly light: Light;
}

/** Epochs that no training reaches: draws of scenes are nobody else's. */
const PLAN = 2 ** 40;
const DRAWING = PLAN + 1;

/** Height of a box in half heights of a head. */
const BOX_HEIGHT = 1.43;

/** At most this much of a face is hidden by people before it. */
const MOST_HIDDEN = 0.45;

function settingsOf(options: SyntheticOptions): {
  size: number;
  faces: readonly [number, number];
  faceHeights: readonly [number, number];
} {
  checkOptions('draw synthetic scenes', options, { size: 'number', faces: 'array', faceHeights: 'array' });
  const { size = 320, faces = [0, 12], faceHeights = [6, (size * 5) / 8] } = options;
  const check = (valid: boolean, expected: string, got: string): void => {
    if (valid) return;
    const remedy = 'Pass other options, or leave them out.';
    throw new ArgumentError({ operation: 'draw synthetic scenes', expected, got, remedy });
  };
  check(Number.isInteger(size) && size >= 32 && size <= 4096, 'a size of 32 to 4,096 pixels', String(size));
  const [fewest, most] = faces;
  const whole = Number.isInteger(fewest) && Number.isInteger(most) && fewest >= 0 && most >= fewest;
  check(whole, 'faces: [fewest, most]', faces.join(' to '));
  const [smallest, largest] = faceHeights;
  const possible = smallest >= 4 && largest >= smallest && largest <= 2 * size;
  check(possible, `faceHeights between 4 and ${2 * size} pixels`, faceHeights.join(' to '));
  return { size, faces, faceHeights };
}

function drawLight(random: Random): Light {
  const azimuth = random.chance(0.75) ? 0.8 * random.normal() : 2 * Math.PI * random.next();
  const height = random.chance(0.85) ? random.between(0, 1.3) : random.between(-0.6, 0.2);
  const strength = random.between(0.25, 1.1);
  const around = random.between(0.15, 0.65);
  const warm = 0.1 * random.normal();
  const cool = 0.08 * random.normal();
  const floor = random.between(0.25, 0.9);
  return {
    direction: [Math.sin(azimuth) * Math.cos(height), -Math.sin(height), Math.cos(azimuth) * Math.cos(height)],
    key: [strength * (1 + warm), strength, strength * (1 - warm)],
    sky: [around * (1 - cool), around, around * (1 + cool)],
    ground: [around * floor * (1 + cool), around * floor, around * floor * (1 - cool)],
    shadows: random.chance(0.75) ? random.between(0.5, 1) : 0,
  };
}

const ARMS: readonly Arm[] = ['down', 'down', 'down', 'bent', 'bent', 'raised'];

/** Share of a face that nearer heads and bodies hide, on a grid over its box. */
function hiddenShare(face: Face, nearer: readonly Figure[]): number {
  if (nearer.length === 0) return 0;
  const [x1, y1, x2, y2] = face.box;
  let hidden = 0;
  for (let i = 0; i < 64; i++) {
    const x = x1 + ((x2 - x1) * ((i % 8) + 0.5)) / 8;
    const y = y1 + ((y2 - y1) * (Math.floor(i / 8) + 0.5)) / 8;
    if (nearer.some(({ pose }) => covers(pose, x, y))) hidden++;
  }
  return hidden / 64;
}

function covers({ x, y, scale, arms, bodyRoll }: Pose, px: number, py: number): boolean {
  const [u, v] = [(px - x) / scale, (py - y) / scale];
  if ((u / 0.85) ** 2 + (v / 1.15) ** 2 < 1) return true;
  const across = u * Math.cos(bodyRoll) + v * Math.sin(bodyRoll);
  const down = v * Math.cos(bodyRoll) - u * Math.sin(bodyRoll);
  if (down > 1.15 && Math.abs(across) < 0.5 + 1.6 * Math.min(1, (down - 1.1) / 0.6)) return true;
  return arms[across < 0 ? 0 : 1] === 'raised' && down > -2.3 && Math.abs(across) > 1.2 && Math.abs(across) < 3;
}

/** Words and numbers across a shirt, in front or on the back: the strokes that look most like eyes and mouths. */
function drawPrint(canvas: Canvas, random: Random, around: Colour, figure: Figure): void {
  const lines = 1 + random.int(2);
  for (let i = 0, y = random.between(1.75, 2.1); i < lines; i++) {
    const height = random.between(0.25, 1.1);
    const letters = 1 + random.int(Math.max(1, Math.floor(2 / (height * LETTER))));
    const half = (letters * height * LETTER) / 2;
    const [x1, y1] = figure.onBody(-half, y + height / 2, 0.5);
    const [x2, y2] = figure.onBody(half, y + height / 2, 0.5);
    const width = Math.hypot(x2 - x1, y2 - y1);
    drawWriting(canvas, random, around, {
      ...(x1 < x2 ? { x: x1, y: y1 } : { x: x2, y: y2 }),
      height: Math.min(height * figure.pose.scale, width / (letters * LETTER)),
      tilt: figure.pose.bodyRoll,
      letters,
    });
    y += 1.2 * height;
  }
}

/** Share of a box that lies inside the picture. */
function insideShare([x1, y1, x2, y2]: Face['box'], size: number): number {
  const overlap = (low: number, high: number): number => Math.max(0, Math.min(size, high) - Math.max(0, low));
  return (overlap(x1, x2) * overlap(y1, y2)) / ((x2 - x1) * (y2 - y1));
}

/** Everything about a scene that decides on its labels. */
function planScene(seed: number, index: number, options: SyntheticOptions): Scene {
  const { size, faces: range, faceHeights } = settingsOf(options);
  const random = randomOf(seed, PLAN, index);
  const light = drawLight(random);
  const [smallest, largest] = faceHeights.map(Math.log) as [number, number];
  const at = (share: number): number => Math.exp(smallest + share * (largest - smallest));
  const layout = random.next();
  const [fewest, most] = range;
  const wanted = (low: number, high: number): number => {
    const count = Math.round(low + (high - low) * random.next());
    return Math.min(most, Math.max(fewest, count));
  };
  // Portraits, groups at one distance, crowds in depth, and people anywhere.
  let count: number;
  let height: () => number;
  if (layout < 0.06) {
    count = fewest;
    height = () => at(random.next());
  } else if (layout < 0.26) {
    count = wanted(1, 2);
    height = () => at(random.between(0.7, 1));
  } else if (layout < 0.55) {
    count = wanted(2, 7);
    const common = random.between(0.3, 0.75);
    height = () => at(Math.min(1, Math.max(0, common + 0.05 * random.normal())));
  } else if (layout < 0.8) {
    count = wanted(5, 14);
    const common = random.between(0.08, 0.5);
    height = () => at(Math.min(1, Math.max(0, common + 0.12 * random.normal())));
  } else {
    count = wanted(1, 10);
    height = () => at(random.next());
  }
  const camera = 0.12 * random.normal();
  const tilt = random.chance(0.15) ? 0.35 * random.normal() : 0.04 * random.normal();
  const placed: { figure: Figure; face: Face | undefined; near: number }[] = [];
  const backs = random.chance(0.25) ? 1 + random.int(3) : 0;
  for (let i = 0; i < count + backs; i++) {
    const behind = i >= count;
    for (let attempt = 0; attempt < 12; attempt++) {
      const scale = height() / BOX_HEIGHT;
      const side = random.chance(0.72) ? 0.42 * random.normal() : random.between(-1.45, 1.45);
      const yaw = behind ? Math.PI + random.between(-0.7, 0.7) : Math.max(-1.5, Math.min(1.5, side));
      const lean = random.chance(0.12) ? 0.5 * random.normal() : 0.13 * random.normal();
      const figure = new Figure(drawPerson(random), {
        x: size * random.next(),
        y: size * random.between(0.02, 0.98),
        scale,
        yaw,
        pitch: Math.max(-0.7, Math.min(0.8, camera + 0.2 * random.normal())),
        roll: lean + tilt,
        bodyYaw: behind ? yaw + 0.3 * random.normal() : 0.55 * yaw + 0.25 * random.normal(),
        bodyRoll: 0.35 * lean + tilt,
        distance: random.between(5, 20),
        arms: [random.pick(ARMS), random.pick(ARMS)],
      });
      const face = figure.face();
      if (!behind && insideShare(face.box, size) < 0.7) continue;
      const near = scale * random.between(0.9, 1.1);
      const before = placed.filter((other) => other.near > near).map((other) => other.figure);
      if (!behind && hiddenShare(face, before) > MOST_HIDDEN) continue;
      const spoilt = placed.some((other) => {
        if (other.near > near || !other.face) return false;
        const nearer = placed.filter((third) => third.near > other.near).map((third) => third.figure);
        return hiddenShare(other.face, [...nearer, figure]) > MOST_HIDDEN;
      });
      if (spoilt) continue;
      placed.push({ figure, face: behind ? undefined : face, near });
      break;
    }
  }
  placed.sort((a, b) => a.near - b.near);
  const occluders: Scene['occluders'][number][] = [];
  for (const { face, figure } of placed) {
    if (!face || !random.chance(0.12)) continue;
    const kind = random.pick(['hand', 'hand', 'bar', 'board', 'stick', 'leaves'] as const);
    const skin = random.chance(0.6) ? figure.person.skin : skinColour(random);
    const [x1, y1, x2, y2] = face.box;
    const [w, h] = [x2 - x1, y2 - y1];
    // What it may reach, and nothing else may be hidden there.
    const reach = [x1 - w, y1 - (kind === 'bar' ? 4 * h : 0), x2 + w, y2 + (kind === 'bar' ? 4 * h : 2 * h)] as const;
    const harmless = placed.every(({ face: other }) => {
      if (!other || other === face) return true;
      const [a, b, c, d] = other.box;
      return c < reach[0] || a > reach[2] || d < reach[1] || b > reach[3];
    });
    if (harmless) occluders.push({ kind, face, skin });
  }
  return {
    figures: placed.map(({ figure }) => figure),
    faces: placed.map(({ face }) => face),
    occluders,
    light,
  };
}

/** Faces as they are labelled: boxes end at the picture's edges, landmarks count only where all are inside. */
function labels({ faces }: Scene, size: number): Face[] {
  const clip = (value: number): number => Math.min(size, Math.max(0, value));
  return faces.flatMap((face) => {
    if (!face) return [];
    const [x1, y1, x2, y2] = face.box;
    const box = [clip(x1), clip(y1), clip(x2), clip(y2)] as const;
    const { landmarks } = face;
    const inside = landmarks?.every((value) => value >= 0 && value <= size);
    return [inside ? { box, landmarks: landmarks ?? [] } : { box }];
  });
}

/**
 * A drawn scene: people with heads of varied shape, skin, hair, dress, pose and expression, lit and partly hidden,
 * before a cluttered background, as a camera would take it. A function of seed and index alone; boxes run from under
 * the hairline to the chin, ears left out, and landmarks are exact.
 * @throws ArgumentError for options that no scene can have.
 */
export function syntheticScene(
  seed: number,
  index: number,
  options: SyntheticOptions = {},
): { readonly picture: Picture; readonly faces: readonly Face[] } {
  const { size } = settingsOf(options);
  const scene = planScene(seed, index, options);
  const random = randomOf(seed, DRAWING, index);
  const canvas = makeCanvas(size, size);
  const { light, figures } = scene;
  const level = random.between(0.4, 1.1);
  const around = [0, 1, 2].map((c) => level * (0.6 * light.key[c]! + light.sky[c]!)) as unknown as Colour;
  drawBackground(canvas, random, around);
  const busy = random.next();
  drawClutter(canvas, random, around, Math.round(45 * busy * busy));
  if (random.chance(0.4)) blur(canvas.data, size, size, 3, (size / 320) * random.between(0.5, 5));
  const [focus, depth] = [random.next(), random.chance(0.35) ? random.between(0, 2.5) : 0];
  for (const [i, figure] of figures.entries()) {
    const away = figures.length > 1 ? Math.abs(i / (figures.length - 1) - focus) : 0;
    const defocus = Math.min(depth * away, 0.12 * figure.pose.scale);
    const wobble = 2 ** (0.2 * random.normal());
    const own: Light = {
      ...light,
      key: [light.key[0] * wobble, light.key[1] * wobble, light.key[2] * wobble],
    };
    drawFigure(canvas, figure, own, defocus > 0.2 ? defocus : 0);
    if (figure.person.pattern === 'plain' && random.chance(0.5)) drawPrint(canvas, random, around, figure);
    for (const { kind, face, skin } of scene.occluders) {
      if (face === scene.faces[i]) drawOccluder(canvas, random, around, kind, skin, face.box);
    }
  }
  return { picture: takePicture(canvas, random), faces: labels(scene, size) };
}

/** A source of `count` drawn scenes; `faces` plans a scene without drawing it. */
export function syntheticSource(seed: number, count: number, options: SyntheticOptions = {}): PictureSource {
  const { size } = settingsOf(options);
  return {
    length: count,
    name: (index) => `synthetic ${seed}/${index}`,
    faces: (index) => labels(planScene(seed, index, options), size),
    load: (index) => Promise.resolve(syntheticScene(seed, index, options).picture),
  };
}
