import type { Random } from '../random.js';
import {
  type Canvas,
  type Colour,
  fillShape,
  mixColours,
  multiplyColours,
  type Paint,
  scaleColour,
  scratch,
  shapes,
  srgb,
} from './canvas.js';
import { fractal, noise, smoothStep } from './noise.js';
import { anyColour, skinColour } from './person.js';

/** Writes the colour of a texture at a point of the picture, whose longer side is 1. */
type Texture = (x: number, y: number, out: Float32Array) => void;

const LEAF_DARK = srgb(0.12, 0.2, 0.06);
const LEAF_LIGHT = srgb(0.55, 0.65, 0.3);

/** The colour of a thing that nobody chose to be bright. */
function dullColour(random: Random): Colour {
  const colour = anyColour(random);
  const grey = (colour[0] + colour[1] + colour[2]) / 3;
  return mixColours([grey * 1.05, grey, grey * 0.92], colour, random.chance(0.2) ? 0.8 : 0.35 * random.next());
}

function put(out: Float32Array, from: Colour, to: Colour, share: number, light: number): void {
  out[0] = (from[0] + share * (to[0] - from[0])) * light;
  out[1] = (from[1] + share * (to[1] - from[1])) * light;
  out[2] = (from[2] + share * (to[2] - from[2])) * light;
}

/** A texture at random: sky, wall, leaves, stone, windows, stripes, night, patches, ground or an audience. */
function texture(random: Random): Texture {
  const [a, b, c] = [dullColour(random), dullColour(random), dullColour(random)];
  const [ox, oy] = [256 * random.next(), 256 * random.next()];
  const fine = 2 ** random.between(0.5, 4.5);
  const angle = random.between(-0.25, 0.25) + (random.chance(0.3) ? Math.PI / 2 : 0);
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  switch (random.int(11)) {
    case 0: {
      const top = mixColours(srgb(0.35, 0.55, 0.85), srgb(0.85, 0.87, 0.9), random.next());
      const low = mixColours(srgb(0.8, 0.85, 0.9), srgb(0.95, 0.85, 0.75), random.next());
      const clouds = random.next();
      return (x, y, out) => {
        const cloud = clouds * smoothStep(0, 0.8, fractal(x * 3 + ox, y * 5 + oy, 4));
        put(out, top, low, y, 1);
        for (let k = 0; k < 3; k++) out[k] = out[k]! + cloud * (0.9 - out[k]!);
      };
    }
    case 1:
    case 2: {
      const wall = mixColours(a, srgb(0.8, 0.78, 0.74), 0.5 * random.next());
      const shade = random.between(0.2, 0.8);
      return (x, y, out) => {
        put(out, wall, wall, 0, 1 - shade * (cosine * x + sine * y) + 0.06 * fractal(x * fine + ox, y * fine, 3));
      };
    }
    case 3: {
      const scale = random.between(6, 30);
      const autumn = random.chance(0.2) ? a : LEAF_LIGHT;
      return (x, y, out) => {
        const light = smoothStep(-0.7, 0.8, fractal(x * scale + ox, y * scale + oy, 4, 0.7));
        put(out, LEAF_DARK, autumn, light, 0.7 + 0.5 * noise(x * 3 + oy, y * 3));
      };
    }
    case 4: {
      const stone = random.between(0.3, 1);
      return (x, y, out) => {
        const v = fractal(x * fine + ox, y * fine + oy, 5, 0.65);
        put(out, a, b, 0.5 + 0.5 * v, 1 + stone * 0.5 * v);
      };
    }
    case 5: {
      const [columns, rows] = [random.between(4, 24), random.between(3, 16)];
      const [wide, high] = [random.between(0.3, 0.85), random.between(0.3, 0.85)];
      return (x, y, out) => {
        const u = columns * (cosine * x + sine * y);
        const v = rows * (cosine * y - sine * x);
        const inside = u - Math.floor(u) < wide && v - Math.floor(v) < high;
        if (!inside) put(out, a, a, 0, 0.9 + 0.15 * fractal(x * 12 + ox, y * 12, 2));
        else {
          const pane = noise(Math.floor(u) * 7.3 + ox, Math.floor(v) * 5.1 + oy);
          put(out, b, c, 0.5 + 0.5 * pane + 0.2 * (v - Math.floor(v)), 1);
        }
      };
    }
    case 6: {
      const count = random.between(3, 40);
      const duty = random.between(0.2, 0.8);
      const bend = random.chance(0.5) ? random.between(0, 0.15) : 0;
      const second = mixColours(a, b, random.between(0.2, 1));
      return (x, y, out) => {
        const u = count * (cosine * x + sine * y + (bend > 0 ? bend * fractal(x * 3 + ox, y * 3 + oy, 2) : 0));
        put(out, a, second, u - Math.floor(u) < duty ? 0 : 1, 0.9 + 0.2 * noise(x * 9 + ox, y * 9));
      };
    }
    case 7: {
      const dark = scaleColour(a, 0.08 * random.next());
      return (x, y, out) => {
        put(out, dark, b, smoothStep(0.5, 1.1, fractal(x * 4 + ox, y * 4 + oy, 3)), 0.5);
      };
    }
    case 8: {
      const spread = random.between(1, 3);
      return (x, y, out) => {
        const u = smoothStep(-0.4, 0.4, fractal(x * spread + ox, y * spread + oy, 3));
        const v = smoothStep(0, 0.7, fractal(x * fine + oy, y * fine + ox, 4, 0.6));
        put(out, a, b, u, 1);
        for (let k = 0; k < 3; k++) out[k] = out[k]! + v * (c[k]! - out[k]!);
      };
    }
    case 9: {
      // Far people without features: blobs in rows, light, dark and of all colours.
      const cells = random.between(8, 30);
      return (x, y, out) => {
        const row = Math.floor(y * cells);
        const u = x * cells + 0.5 * (row % 2);
        const tone = noise(Math.floor(u) * 3.7 + ox, row * 2.9 + oy);
        const across = u - Math.floor(u) - 0.5;
        const down = y * cells - row;
        const head = smoothStep(0.22, 0.16, Math.hypot(across, down - 0.3));
        put(out, a, b, 0.5 + 0.5 * tone, 0.6 + 0.5 * noise(Math.floor(u) * 5.3, row * 4.1 + ox));
        for (let k = 0; k < 3; k++) out[k] = out[k]! + head * (c[k]! * (0.6 + 0.4 * tone) - out[k]!);
      };
    }
    default: {
      const grey = random.between(0.1, 0.8);
      const ground = mixColours(a, [grey, grey, grey], 0.7);
      // Seen at a slant: finer towards the horizon.
      return (x, y, out) => {
        const far = 1 / (0.15 + y);
        put(out, ground, ground, 0, 0.85 + 0.35 * fractal(x * far * 6 + ox, far * 6 + oy, 4, 0.6));
      };
    }
  }
}

/** Fills the canvas with a scene without people. `light` is what falls on a white surface. */
export function drawBackground(canvas: Canvas, random: Random, light: Colour): void {
  const { data, width, height } = canvas;
  const longer = Math.max(width, height);
  // Smooth parts are drawn at half size; clutter and grain give what is fine.
  const [w, h] = [Math.ceil(width / 2) + 1, Math.ceil(height / 2) + 1];
  const half = scratch('background', w * h * 3);
  const colour = new Float32Array(3);
  const first = texture(random);
  const second = texture(random);
  const third = texture(random);
  const horizon = random.chance(0.5) ? random.between(0.2, 0.9) : 2;
  const tilt = random.between(-0.15, 0.15);
  const edge = random.chance(0.4) ? random.between(0.15, 0.85) : 2;
  const rugged = random.chance(0.4) ? random.between(0, 0.12) : 0;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const [u, v] = [(2 * x) / longer, (2 * y) / longer];
      const line = horizon + tilt * u + (rugged > 0 ? rugged * noise(u * 9 + 31 * tilt, 5) : 0);
      if (v > line) second(u, v, colour);
      else if (u > edge) third(u, v, colour);
      else first(u, v, colour);
      const at = 3 * (y * w + x);
      for (let c = 0; c < 3; c++) half[at + c] = Math.max(0, colour[c]!) * light[c]!;
    }
  }
  const grain = random.chance(0.6) ? 0.25 * random.next() ** 2 : 0;
  const cell = random.between(0.3, 0.9);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / 2);
    const t = (y % 2) / 2;
    for (let x = 0; x < width; x++) {
      const a = 3 * (row * w + Math.floor(x / 2));
      const s = (x % 2) / 2;
      const strength = grain > 0 ? 1 + grain * noise(x * cell, y * cell) : 1;
      const to = 3 * (y * width + x);
      for (let c = 0; c < 3; c++) {
        const top = half[a + c]! + s * (half[a + c + 3]! - half[a + c]!);
        const low = half[a + c + 3 * w]! + s * (half[a + c + 3 * w + 3]! - half[a + c + 3 * w]!);
        data[to + c] = (top + t * (low - top)) * strength;
      }
    }
  }
}

function anyPaint(
  random: Random,
  light: Colour,
  colour = random.chance(0.4) ? anyColour(random) : dullColour(random),
): Paint {
  const from = multiplyColours(colour, light);
  return {
    from,
    to: random.chance(0.5) ? scaleColour(from, random.between(0.2, 1.4)) : multiplyColours(dullColour(random), light),
    angle: 2 * Math.PI * random.next(),
    grain: random.chance(0.5) ? 0.5 * random.next() : 0,
    frequency: random.between(0.03, 0.7),
    round: random.chance(0.5) ? random.next() : 0,
  };
}

const anywhere = (canvas: Canvas, random: Random): { x: number; y: number; angle: number } => ({
  x: random.between(-0.05, 1.05) * canvas.width,
  y: random.between(-0.05, 1.05) * canvas.height,
  angle: 2 * Math.PI * random.next(),
});

/** A limb or a finger: rounded, of the colour of skin. */
function drawLimb(canvas: Canvas, random: Random, light: Colour, skin: Colour): void {
  const place = anywhere(canvas, random);
  const length = random.between(0.03, 0.3) * canvas.height;
  const radius = length * random.between(0.1, 0.35);
  const paint = { ...anyPaint(random, light, skin), grain: 0.1, round: random.between(0.3, 0.9) };
  const to = scaleColour(paint.from, random.between(0.3, 1));
  fillShape(
    canvas,
    { ...place, reach: length + radius, across: radius },
    shapes.capsule(length, radius, random.between(0.5, 1)),
    {
      ...paint,
      to,
    },
  );
}

/** A hand with its fingers spread or closed. */
function drawHand(
  canvas: Canvas,
  random: Random,
  light: Colour,
  skin: Colour,
  x: number,
  y: number,
  size: number,
): void {
  const direction = 2 * Math.PI * random.next();
  const spread = random.between(0.05, 0.4);
  const shade = random.between(0.5, 1);
  const paint: Paint = {
    from: scaleColour(multiplyColours(skin, light), 1),
    to: scaleColour(multiplyColours(skin, light), shade),
    angle: random.between(0, 6),
    grain: 0.08,
    frequency: 0.2,
    round: random.between(0.4, 0.8),
  };
  const arm = 1.6 * size;
  fillShape(
    canvas,
    { x: x - Math.cos(direction) * arm, y: y - Math.sin(direction) * arm, angle: direction, reach: 2 * size },
    shapes.capsule(1.4 * size, 0.42 * size),
    random.chance(0.5) ? paint : { ...anyPaint(random, light), round: 0.5 },
  );
  for (let i = 0; i < 5; i++) {
    const angle = direction + (i - 2) * spread + (i === 0 ? -0.4 : 0);
    const long = size * (i === 0 ? 0.6 : 0.85 + 0.12 * (i === 2 ? 1 : 0));
    const from = 0.55 * size;
    const [cx, cy] = [x + Math.cos(angle) * (from + long / 2), y + Math.sin(angle) * (from + long / 2)];
    fillShape(canvas, { x: cx, y: cy, angle, reach: long }, shapes.capsule(long / 2, 0.13 * size, 0.8), paint);
  }
  fillShape(canvas, { x, y, angle: direction, reach: size }, shapes.box(0.55 * size, 0.45 * size, 0.3 * size), paint);
}

/** Where a line of writing stands, in pixels and radians. */
export interface Line {
  /** The middle of its left end. */
  readonly x: number;
  readonly y: number;
  /** Height of its letters. */
  readonly height: number;
  readonly tilt: number;
  readonly letters: number;
}

/** Width of a letter and the gap behind it, of its height. */
export const LETTER = 0.75;

/** Strokes like writing, in a line. */
export function drawWriting(canvas: Canvas, random: Random, light: Colour, line: Line): void {
  const { height, tilt, letters } = line;
  const paint = { ...anyPaint(random, light), grain: 0, round: 0 };
  const [cosine, sine] = [Math.cos(tilt), Math.sin(tilt)];
  const weight = height * random.between(0.06, 0.16);
  for (let i = 0; i < letters; i++) {
    const strokes = 2 + random.int(3);
    for (let k = 0; k < strokes; k++) {
      const u = (i + random.between(0, 0.6)) * height * LETTER;
      const v = random.between(-0.4, 0.4) * height;
      const angle = tilt + (random.chance(0.45) ? Math.PI / 2 : random.chance(0.6) ? 0 : 2 * Math.PI * random.next());
      const half = height * random.between(0.12, 0.42);
      const at = {
        x: line.x + cosine * u - sine * v,
        y: line.y + sine * u + cosine * v,
        angle,
        reach: half + weight,
        across: half,
      };
      if (random.chance(0.25)) fillShape(canvas, at, shapes.ring(half * 0.7, 2 * weight), paint);
      else fillShape(canvas, at, shapes.capsule(half, weight), paint);
    }
  }
}

/** Round things with dark spots, which are no faces: sockets, buttons, lamps, fruit, wheels. */
function drawRoundThing(canvas: Canvas, random: Random, light: Colour, skin: Colour): void {
  const { x, y } = anywhere(canvas, random);
  const size = canvas.height * 0.15 * random.next() ** 1.5 + 3;
  const squeeze = random.between(0.6, 1.2);
  const body = anyPaint(random, light, random.chance(0.5) ? skin : anyColour(random));
  const reach = size * Math.max(1, squeeze);
  fillShape(canvas, { x, y, angle: random.between(-0.5, 0.5), reach }, shapes.ellipse(size * squeeze, size), {
    ...body,
    round: random.between(0.3, 1),
  });
  const spots = random.int(5);
  const paint = {
    ...anyPaint(random, light),
    from: scaleColour(body.from, 0.2),
    to: scaleColour(body.from, 0.3),
    grain: 0,
    round: 0,
  };
  for (let i = 0; i < spots; i++) {
    const at = {
      x: x + size * random.between(-0.6, 0.6),
      y: y + size * random.between(-0.6, 0.6),
      angle: 3 * random.next(),
    };
    const radius = size * random.between(0.05, 0.3);
    fillShape(canvas, { ...at, reach: radius }, shapes.ellipse(radius, radius * random.between(0.3, 1)), paint);
  }
}

/** Things around and behind the people: boxes, balls, poles, limbs, writing, lights. */
export function drawClutter(canvas: Canvas, random: Random, light: Colour, amount: number): void {
  const { height } = canvas;
  const skin = skinColour(random);
  for (let i = 0; i < amount; i++) {
    const place = anywhere(canvas, random);
    const size = height * (0.01 + 0.22 * random.next() ** 2.5);
    const softness = random.chance(0.6) ? 1 : 1 + size * 0.6 * random.next();
    switch (random.int(12)) {
      case 0:
      case 1: {
        const [a, b] = [size, size * random.between(0.2, 1.6)];
        const upright = random.chance(0.7) ? 0.06 * random.normal() : place.angle;
        fillShape(
          canvas,
          { ...place, angle: upright, reach: a, across: b },
          shapes.box(a, b, b * random.between(0, 0.5)),
          anyPaint(random, light),
          softness,
        );
        break;
      }
      case 2:
      case 3: {
        const [a, b] = [size, size * random.between(0.4, 1.2)];
        fillShape(canvas, { ...place, reach: Math.max(a, b) }, shapes.ellipse(a, b), anyPaint(random, light), softness);
        break;
      }
      case 4: {
        const long = height * random.between(0.1, 0.6);
        const angle = random.chance(0.6) ? Math.PI / 2 + 0.05 * random.normal() : place.angle;
        const radius = 0.5 + height * 0.02 * random.next() ** 2;
        fillShape(
          canvas,
          { ...place, angle, reach: long + radius, across: radius },
          shapes.capsule(long, radius),
          anyPaint(random, light),
          softness,
        );
        break;
      }
      case 5:
        fillShape(
          canvas,
          { ...place, reach: size },
          shapes.star(3 + random.int(5), size, random.between(0.3, 0.9)),
          anyPaint(random, light),
          softness,
        );
        break;
      case 6:
        fillShape(
          canvas,
          { ...place, reach: size * 1.2 },
          shapes.ring(size, size * random.between(0.1, 0.4)),
          anyPaint(random, light),
        );
        break;
      case 7:
        drawLimb(canvas, random, light, random.chance(0.5) ? skin : skinColour(random));
        break;
      case 8:
        drawWriting(canvas, random, light, {
          ...place,
          height: height * random.between(0.012, 0.09),
          tilt: random.chance(0.7) ? 0.05 * random.normal() : random.between(-1, 1),
          letters: 2 + random.int(9),
        });
        break;
      case 9:
        drawRoundThing(canvas, random, light, skin);
        break;
      case 10:
        if (random.chance(0.4)) drawHand(canvas, random, light, skin, place.x, place.y, 0.4 * size + 3);
        else {
          const glow = random.between(1, 4);
          const lamp = { ...anyPaint(random, light), from: [glow, glow, glow * 0.9] as const, grain: 0, round: 0 };
          fillShape(
            canvas,
            { ...place, reach: size * 0.3 },
            shapes.ellipse(size * 0.3, size * 0.3),
            { ...lamp, to: lamp.from },
            softness,
            random.next(),
          );
        }
        break;
      default: {
        // Leaves, stones, confetti.
        const [count, colour] = [5 + random.int(30), anyColour(random)];
        for (let k = 0; k < count; k++) {
          const grain = size * random.between(0.03, 0.25) + 0.6;
          const at = {
            x: place.x + size * 2 * random.normal(),
            y: place.y + size * 2 * random.normal(),
            angle: 6 * random.next(),
          };
          const paint = {
            ...anyPaint(random, light, colour),
            to: scaleColour(multiplyColours(colour, light), random.between(0.2, 1)),
          };
          fillShape(canvas, { ...at, reach: grain }, shapes.ellipse(grain, grain * random.between(0.3, 1)), paint);
        }
      }
    }
  }
}

/** What is held before a face; all of them leave at least half of it to be seen. */
export type Occluder = 'hand' | 'bar' | 'board' | 'stick' | 'leaves';

/** Draws something before a face of a box's place and size; sides are in −1 to 1 of the box. */
export function drawOccluder(
  canvas: Canvas,
  random: Random,
  light: Colour,
  kind: Occluder,
  skin: Colour,
  box: readonly [number, number, number, number],
): void {
  const [x1, y1, x2, y2] = box;
  const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
  const [w, h] = [x2 - x1, y2 - y1];
  const side = random.chance(0.5) ? 1 : -1;
  const paint = { ...anyPaint(random, light), round: random.between(0, 0.6) };
  switch (kind) {
    case 'hand':
      drawHand(
        canvas,
        random,
        light,
        skin,
        x + side * w * random.between(0.3, 0.6),
        y + h * random.between(0.1, 0.55),
        0.32 * h,
      );
      break;
    case 'bar': {
      const radius = w * random.between(0.05, 0.14);
      const place = {
        x: x + w * random.between(-0.5, 0.5),
        y,
        angle: Math.PI / 2 + 0.3 * random.normal(),
        reach: 4 * h,
      };
      fillShape(canvas, place, shapes.capsule(4 * h, radius), paint);
      break;
    }
    case 'board': {
      const [a, b] = [w * random.between(0.6, 1.5), h * random.between(0.4, 1)];
      const place = {
        x: x + 0.3 * w * random.normal(),
        y: y + h * random.between(0.2, 0.5) + b,
        angle: 0.1 * random.normal(),
      };
      fillShape(canvas, { ...place, reach: a, across: b }, shapes.box(a, b, 0.05 * b), paint);
      break;
    }
    case 'stick': {
      const head = 0.14 * h;
      const [px, py] = [x + 0.2 * w * random.normal(), y + h * random.between(0.3, 0.5)];
      const dark = { ...paint, from: scaleColour(light, 0.03), to: scaleColour(light, 0.12) };
      const angle = Math.PI / 2 + 0.4 * random.normal();
      const half = 0.7 * h;
      const place = { x: px + Math.cos(angle) * half, y: py + Math.sin(angle) * half, angle, reach: half + head };
      fillShape(canvas, place, shapes.capsule(half, 0.07 * h), dark);
      fillShape(canvas, { x: px, y: py, angle: 0, reach: head }, shapes.ellipse(head, head), {
        ...dark,
        round: 0.6,
        grain: 0.5,
        frequency: 0.6,
      });
      break;
    }
    case 'leaves':
      for (let i = 0; i < 14; i++) {
        const size = h * random.between(0.03, 0.1);
        const at = {
          x: x + side * w * random.between(0, 0.8),
          y: y + h * random.between(-0.7, 0.7),
          angle: 6 * random.next(),
        };
        fillShape(canvas, { ...at, reach: 2 * size }, shapes.ellipse(2 * size, size * random.between(0.3, 0.8)), paint);
      }
  }
}
