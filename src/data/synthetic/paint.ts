import { type Colour, mixColours, scaleColour, srgb } from './canvas.js';
import { type HeadShape } from './head.js';
import { MATERIAL } from './mesh.js';
import { bump, noise, smoothStep } from './noise.js';
import type { Person } from './person.js';

const SCLERA = srgb(0.83, 0.8, 0.78);
const TEETH = srgb(0.86, 0.82, 0.76);
const CAVITY = srgb(0.2, 0.07, 0.07);
const TONGUE = srgb(0.55, 0.25, 0.24);
const NOSTRIL = srgb(0.2, 0.09, 0.07);
const LASH = srgb(0.1, 0.07, 0.06);

/** The colours of a person's surface, point by point, before light falls on it. */
export class Paint {
  /** What the last call found: colour, shine, how much the surface is turned to the front, how far light enters. */
  red = 0;
  green = 0;
  blue = 0;
  shine = 0;
  flat = 0;
  soft = 0;
  readonly #person: Person;
  readonly #shape: HeadShape;
  readonly #brow: Colour;
  readonly #stubble: Colour;

  constructor(shape: HeadShape) {
    this.#shape = shape;
    this.#person = shape.person;
    this.#brow = mixColours(scaleColour(shape.person.hair, 0.7), shape.person.skin, 0.12);
    this.#stubble = scaleColour(mixColours(shape.person.beardColour, shape.person.skin, 0.25), 0.9);
  }

  /** Finds the colour at a point of the undistorted part. */
  at(material: number, x: number, y: number, z: number): void {
    this.flat = 0;
    switch (material) {
      case MATERIAL.head:
        this.#head(x, y, z);
        break;
      case MATERIAL.hair:
        if (this.#person.headwear === 'hood') this.#cloth(this.#person.headwearColour, x, y);
        else this.#hair(Math.atan2(x, z), y, 1);
        break;
      case MATERIAL.neck:
        if (this.#person.headwear === 'hood') this.#cloth(this.#person.headwearColour, x, y);
        else {
          this.#skin(x, y);
          const { stubble, beard } = this.#person;
          if (y < 0.95) this.#mix(this.#stubble, 0.3 * Math.max(stubble, beard) * smoothStep(0.95, 0.75, y));
        }
        break;
      case MATERIAL.ear:
        this.#skin(x, y);
        this.red *= 1.06;
        this.green *= 0.92;
        this.blue *= 0.9;
        break;
      case MATERIAL.torso:
        this.#torso(x, y, z);
        break;
      default:
        this.#cloth(this.#person.headwearSecond, x, y);
    }
  }

  #set(colour: Colour, by: number): void {
    this.red = colour[0] * by;
    this.green = colour[1] * by;
    this.blue = colour[2] * by;
  }

  #mix(colour: Colour, share: number): void {
    this.red += share * (colour[0] - this.red);
    this.green += share * (colour[1] - this.green);
    this.blue += share * (colour[2] - this.blue);
  }

  #scale(by: number): void {
    this.red *= by;
    this.green *= by;
    this.blue *= by;
  }

  #skin(x: number, y: number): void {
    const { skin, grain } = this.#person;
    this.#set(skin, 1 + 0.05 * noise(x * 3 + grain, y * 3) + 0.035 * noise(x * 14, y * 14 + grain));
    this.shine = 0.5 * this.#person.shine;
    this.soft = 1;
  }

  #cloth(colour: Colour, x: number, y: number): void {
    const { grain } = this.#person;
    this.#set(colour, 1 + 0.12 * noise(x * 4 + grain, y * 4) + 0.1 * noise(x * 25, y * 25 + grain));
    this.shine = 0.04;
    this.soft = 0;
  }

  #hair(angle: number, y: number, cover: number): void {
    const { hair, hairCurl, hairThickness, grain } = this.#person;
    const fine = 26 - 12 * hairCurl;
    const along = 2 + 14 * hairCurl * hairCurl;
    const wave = 0.6 * hairCurl * noise(angle * 3 + grain, y * 5);
    const strands =
      0.6 * noise((angle + wave) * fine + grain, y * along) + 0.4 * noise((angle + wave) * 2.3 * fine, y * along * 1.7);
    const locks = noise((angle + wave) * 5 + grain, y * 1.2 + 7);
    const light = Math.max(0.15, 0.85 + 0.55 * strands + 0.3 * locks * Math.min(1, 8 * hairThickness));
    this.#mix([hair[0] * light, hair[1] * light, hair[2] * light], cover);
    this.shine = this.shine * (1 - cover) + cover * Math.max(0, 0.28 + 0.3 * strands) * (1 - 0.7 * hairCurl);
    this.soft *= 1 - cover;
  }

  #head(x: number, y: number, z: number): void {
    const p = this.#person;
    const angle = Math.atan2(x, z);
    const side = Math.abs(x);
    if (p.headwear !== 'none') {
      const worn = this.#shape.headwear(angle, y);
      if (worn > 0) {
        this.#worn(angle, y, worn);
        return;
      }
    }
    this.#skin(x, y);
    if (z > 0) this.#face(x, y, side);
    if (p.hairCover > 0 && (y < -0.1 || Math.abs(angle) > 0.8 || p.fringe > 0)) {
      const inside = this.#shape.hair(angle, y);
      const edge = p.hairThickness > 0.05 ? 0.035 : 0.09;
      const cover = p.hairCover * smoothStep(-edge, edge, inside);
      if (cover > 0) {
        // Roots throw a little shade on the skin before them.
        this.#hair(angle, y, cover);
      } else if (p.hairThickness > 0.05) this.#scale(1 - 0.25 * smoothStep(-0.12, 0, inside));
    }
    if (p.glasses !== 'none' && z > -0.15) this.#glasses(x, y, side, z);
    if (p.mask) this.#faceMask(angle, x, y);
  }

  #worn(angle: number, y: number, inside: number): void {
    const { headwear, headwearColour, headwearSecond, grain } = this.#person;
    this.#cloth(headwearColour, angle * 0.7, y);
    if (headwear === 'turban') {
      const fold = Math.abs(((angle * 1.1 + y * 4 + 20) % 0.7) - 0.35) / 0.35;
      this.#scale(0.65 + 0.45 * fold);
    } else if (headwear === 'beanie') {
      this.#scale(0.85 + 0.25 * Math.abs(((angle * 7 + 40) % 1) - 0.5) * 2);
      if (inside < 0.16) this.#mix(headwearSecond, grain % 2 > 1 ? 0.9 : 0);
    } else if (headwear === 'helmet') {
      this.shine = 0.9;
      if (Math.abs(angle) < 0.12 + 0.3 * (grain % 1)) this.#mix(headwearSecond, 0.9);
    } else if (headwear === 'cap') {
      if (Math.abs(angle) < 0.3 && Math.abs(inside - 0.25) < 0.13) {
        this.#mix(headwearSecond, noise(angle * 20 + grain, y * 20) > -0.2 ? 0.85 : 0);
      }
    } else if (headwear === 'brim' && inside < 0.14) this.#mix(headwearSecond, 0.9);
    if (inside < 0.03) this.#scale(0.75);
  }

  #face(x: number, y: number, side: number): void {
    const p = this.#person;
    // Blood shows in cheeks, nose and chin; the forehead is paler, the beard's shadow bluish.
    const blood =
      p.blush *
      (0.5 * bump(((side - 0.36) / 0.24) ** 2 + ((y - 0.3) / 0.22) ** 2) +
        0.5 * bump((x / 0.15) ** 2 + ((y - p.noseY) / 0.16) ** 2) +
        0.2 * bump((x / 0.2) ** 2 + ((y - 0.88) / 0.14) ** 2));
    this.red *= 1 + 0.06 * blood;
    this.green *= 1 - 0.14 * blood;
    this.blue *= 1 - 0.16 * blood;
    if (p.freckles > 0 && y > -0.1 && y < 0.5) {
      const spots = smoothStep(0.35, 0.6, noise(x * 34 + p.grain, y * 34)) * p.freckles;
      this.#scale(1 - 0.3 * spots * bump(((side - 0.25) / 0.4) ** 2 + ((y - 0.22) / 0.3) ** 2));
    }
    this.shine *=
      0.5 +
      0.9 * bump((x / 0.12) ** 2 + ((y - p.noseY + 0.08) / 0.25) ** 2) +
      0.6 * bump((x / 0.4) ** 2 + ((y + 0.4) / 0.25) ** 2) +
      0.5 * bump(((side - 0.38) / 0.18) ** 2 + ((y - 0.18) / 0.15) ** 2);
    if (y < -0.2 && p.wrinkles > 0.3) {
      const line = Math.abs(((y * 9 + 0.25 * noise(x * 4, p.grain) + 20) % 1) - 0.5) * 2;
      this.#scale(1 - 0.12 * (p.wrinkles - 0.3) * (1 - smoothStep(0, 0.35, line)) * bump((x / 0.5) ** 2));
    }
    if (y > p.browY - 0.14 && y < p.eyeY + 0.2) this.#eyeRegion(x, y, side);
    if (y > p.noseY - 0.1 && y < p.noseY + 0.16 && side < 0.24) this.#noseRegion(side, y);
    if (y > p.noseY) this.#lowerFace(x, y, side);
  }

  #eyeRegion(x: number, y: number, side: number): void {
    const p = this.#person;
    const sign = x < 0 ? -1 : 1;
    const u = side - p.eyeX;
    const v = y - p.eyeY + 0.06 * u;
    // Brow: thin towards the temple, hair by hair.
    const t = (side - 0.28) / 0.185;
    if (Math.abs(t) < 1) {
      const middle = p.browY - p.browArch * (1 - (t - 0.25) ** 2) + 0.015;
      const thickness = p.browThickness * (1 - 0.55 * Math.max(0, t) ** 2) * (1 - 0.3 * Math.max(0, -t) ** 4);
      const hairs = 0.25 * noise(side * 45 + p.grain, y * 30 - side * 20);
      const cover = smoothStep(1.25, 0.45, Math.abs(y - middle) / thickness + hairs) * smoothStep(1, 0.8, Math.abs(t));
      this.#mix(this.#brow, cover * p.browDensity);
    }
    if (Math.abs(u) > 0.24 || v < -0.16 || v > 0.17) return;
    const s = u / p.eyeWidth;
    const arc = Math.max(0, 1 - s * s);
    const upper = 0.052 * p.eyeOpen * arc ** 0.75;
    const lower = 0.03 * Math.min(1, p.eyeOpen + 0.2) * arc + 0.004;
    const shade = 0.16 + 0.14 * p.socket;
    // The socket is darker and redder than the face.
    const socket = bump((u / 0.24) ** 2 + ((v + 0.01) / 0.14) ** 2);
    this.red *= 1 - shade * socket;
    this.green *= 1 - (shade + 0.06) * socket;
    this.blue *= 1 - (shade + 0.04) * socket;
    const bag = bump((u / 0.14) ** 2 + ((v - 0.085) / 0.03) ** 2);
    this.#scale(1 - (0.06 + 0.16 * p.wrinkles) * bag);
    if (Math.abs(s) >= 1.15) return;
    if (p.makeUp > 0 && v < 0) {
      this.#mix(p.headwearSecond, 0.3 * p.makeUp * bump((u / 0.16) ** 2 + ((v + 0.06) / 0.06) ** 2));
    }
    const crease = Math.abs(v + upper + 0.028 + 0.012 * arc);
    this.#scale(1 - 0.28 * smoothStep(0.016, 0.002, crease) * arc);
    if (p.eyeOpen > 0.05 && v > -upper && v < lower && arc > 0) {
      const depth = Math.min(v + upper, lower - v);
      const lid = 0.55 + 0.45 * smoothStep(0, 0.05, v + upper);
      const corner = 0.75 + 0.25 * smoothStep(1, 0.5, Math.abs(s));
      this.#set(SCLERA, 0.85 * lid * corner);
      const gx = x - sign * p.eyeX - p.gaze[0];
      const gy = v - p.gaze[1] + 0.006;
      const radius = Math.hypot(gx, gy);
      if (radius < 0.056) {
        const limbus = smoothStep(0.056, 0.046, radius);
        this.#mix(p.iris, limbus);
        this.#scale((0.7 + 0.5 * smoothStep(0.02, 0.04, radius)) * (1 - 0.35 * smoothStep(0.042, 0.052, radius)) * lid);
        this.#scale(1 - 0.92 * smoothStep(0.025, 0.019, radius));
      }
      if (Math.hypot(gx + 0.016, gy + 0.018) < 0.011) this.#set([1.6, 1.6, 1.6], 1);
      this.shine = 0.4;
      this.soft = 0;
      if (depth < 0.006) this.#mix(LASH, 0.3);
    }
    const line = 0.013 * (0.8 + 0.5 * Math.max(0, s)) * (1 + 0.6 * p.makeUp);
    const lash = smoothStep(line, 0.3 * line, Math.abs(v + upper)) * smoothStep(1.1, 0.95, Math.abs(s));
    this.#mix(LASH, lash * (0.75 + 0.2 * p.makeUp));
    const under = smoothStep(0.009, 0.002, Math.abs(v - lower)) * smoothStep(1.05, 0.8, Math.abs(s));
    this.#mix(LASH, under * (0.25 + 0.35 * p.makeUp));
  }

  #noseRegion(side: number, y: number): void {
    const { noseWidth, noseY } = this.#person;
    const nostril = ((side - 0.068 * noseWidth) / (0.042 * noseWidth)) ** 2 + ((y - noseY - 0.062) / 0.026) ** 2;
    this.#mix(NOSTRIL, 0.85 * smoothStep(1.3, 0.5, nostril));
    const wing = Math.abs(Math.hypot(side - 0.085 * noseWidth, (y - noseY) * 0.95) - 0.088);
    if (side > 0.1 * noseWidth) this.#scale(1 - 0.22 * smoothStep(0.028, 0.004, wing));
  }

  #lowerFace(x: number, y: number, side: number): void {
    const p = this.#person;
    const smile = Math.max(0, p.smile);
    // From the wing of the nose around the corner of the mouth.
    const run = Math.min(1, Math.max(0, (y - p.noseY + 0.02) / (p.mouthY + 0.1 - p.noseY)));
    const fold = 0.14 * p.noseWidth + run * (p.mouthWidth + 0.09 - 0.14 * p.noseWidth);
    const crease = smoothStep(0.035, 0.003, Math.abs(side - fold)) * Math.sin(Math.PI * Math.min(1, run * 0.9 + 0.1));
    this.#scale(1 - (0.08 + 0.2 * smile + 0.18 * p.wrinkles) * crease);
    const philtrum = bump((x / 0.028) ** 2 + ((y - (p.noseY + p.mouthY) / 2 - 0.02) / 0.07) ** 2);
    this.#scale(1 - 0.1 * philtrum);
    this.#beard(x, y, side);
    const t = x / p.mouthWidth;
    const taper = 1 - t * t;
    const lip = y - this.#shape.mouthLine(x);
    if (taper <= 0) {
      const end = Math.hypot(side - p.mouthWidth, lip);
      this.#scale(1 - 0.4 * smoothStep(0.04, 0.005, end));
      return;
    }
    const bow = 1 - 0.25 * bump((t / 0.16) ** 2);
    const upper = 0.058 * p.lips * taper ** 0.7 * bow;
    const lower = 0.075 * p.lips * taper ** 0.6;
    if (lip > -upper - 0.012 && lip < lower + 0.012) {
      const cover =
        lip < 0 ? smoothStep(upper + 0.008, upper - 0.006, -lip) : smoothStep(lower + 0.01, lower - 0.008, lip);
      this.#mix(p.lip, 0.85 * cover);
      if (lip < 0) this.#scale(1 - 0.18 * cover);
      this.shine = Math.max(this.shine, (0.35 + 0.4 * p.makeUp) * cover * (lip > 0 ? 1 : 0.5));
    }
    const gap = 0.016 * taper ** 0.35;
    if (p.open > 0.04 && Math.abs(lip) < gap) {
      const s = lip / gap;
      this.#set(CAVITY, 0.6);
      const reach = p.open < 0.3 ? 0.75 : -0.25;
      if (p.teeth && s < reach && Math.abs(t) < 0.88) {
        const gapShade = smoothStep(0, 0.25, Math.abs((((side * 17) % 1) + 1) % 1) - 0.06);
        this.#set(TEETH, (0.8 + 0.2 * gapShade) * (1 - 0.55 * Math.abs(t) ** 2));
      } else if (s > 0.15) this.#mix(TONGUE, 0.8 * bump((t / 0.8) ** 2) * smoothStep(0.15, 0.5, s));
      this.soft = 0;
      this.shine = 0.1;
    } else this.#mix(CAVITY, 0.8 * smoothStep(0.014, 0.003, Math.abs(lip) - (p.open > 0.04 ? gap : 0)) * taper ** 0.3);
    this.#scale(1 - 0.18 * bump((t / 0.8) ** 2 + ((lip - lower - 0.03) / 0.028) ** 2));
  }

  #beard(x: number, y: number, side: number): void {
    const p = this.#person;
    if (p.beard <= 0 && p.stubble <= 0.1 && p.moustache <= 0) return;
    const border =
      side > 0.5
        ? 0.1
        : side > 0.3
          ? 0.1 + (0.5 - side) * 2.1
          : side > 0.2
            ? 0.52 + (0.3 - side) * 2.4
            : p.mouthY + 0.12 + 0.05 * smoothStep(0.2, 0.05, side);
    const ragged = 0.05 * noise(x * 10 + p.grain, y * 10);
    const jaw = smoothStep(-0.03, 0.05, y - border + ragged);
    const top = p.noseY + 0.1 + 0.15 * side;
    const bottom = p.mouthY - 0.035 + 0.5 * Math.max(0, side - 0.18);
    const lipHair =
      smoothStep(-0.01, 0.03, y - top + 0.3 * ragged) *
      smoothStep(0.03, -0.01, y - bottom) *
      smoothStep(0.3, 0.25, side);
    const strands = noise(x * 30 + p.grain, y * 14) * 0.6 + 0.4 * noise(x * 60, y * 30 + p.grain);
    const shadow = 0.38 * p.stubble * Math.max(jaw, lipHair) * (0.8 + 0.3 * strands);
    this.#mix(this.#stubble, Math.max(0, shadow));
    const full = Math.max(p.beard * jaw, p.moustache * lipHair);
    if (full > 0) {
      const cover = Math.min(1, full * (1.05 + 0.5 * strands));
      const light = 0.85 + 0.5 * strands;
      const { beardColour } = p;
      this.#mix([beardColour[0] * light, beardColour[1] * light, beardColour[2] * light], Math.max(0, cover));
      this.soft *= 1 - cover;
      this.shine *= 1 - cover;
    }
  }

  #glasses(x: number, y: number, side: number, z: number): void {
    const { eyeX, eyeY, glasses, glassesColour, glassesSize, grain } = this.#person;
    const [halfWidth, halfHeight] = [0.2 * glassesSize, (0.11 + 0.05 * (grain % 1)) * glassesSize];
    const u = (side - eyeX - 0.01) / halfWidth;
    const v = (y - eyeY - 0.02) / halfHeight;
    const power = 2.2 + 2 * ((grain * 7) % 1);
    const lens = (Math.abs(u) ** power + Math.abs(v) ** power) ** (1 / power);
    const frame = 0.1 + 0.12 * ((grain * 3) % 1);
    if (z > 0.2 && lens < 1) {
      if (glasses === 'dark') {
        const glow = 0.03 + 0.07 * Math.max(0, -v) + 0.12 * smoothStep(0.2, 0.6, noise(x * 4 + grain, y * 6));
        this.#set(mixColours(glassesColour, srgb(0.7, 0.75, 0.8), 0.5), 0);
        this.#mix(srgb(0.6, 0.66, 0.72), glow);
        this.#mix(glassesColour, 0.12);
        this.shine = 0.8;
        this.flat = 0.8;
        this.soft = 0;
      } else {
        const reflection = smoothStep(0.3, 0.7, noise(x * 2.5 + grain, y * 3 + x * 2));
        this.#mix(srgb(0.85, 0.9, 0.95), 0.04 + 0.25 * reflection);
      }
    }
    const rim = Math.abs(lens - 1) < frame ? smoothStep(frame, 0.7 * frame, Math.abs(lens - 1)) : 0;
    const bridge = side < 0.13 && z > 0.2 ? smoothStep(0.03, 0.018, Math.abs(y - eyeY + 0.02)) : 0;
    const arm =
      side > eyeX + 0.95 * halfWidth && z < 0.62
        ? smoothStep(0.026, 0.014, Math.abs(y - eyeY + 0.03)) * smoothStep(-0.15, -0.05, z)
        : 0;
    const cover = Math.max(z > 0.15 ? rim : 0, bridge, arm);
    if (cover <= 0) return;
    this.#mix(glassesColour, cover);
    this.shine = 0.5;
    this.flat = Math.max(this.flat, 0.4 * cover);
    this.soft = 0;
  }

  #faceMask(angle: number, x: number, y: number): void {
    const { maskColour, noseY, eyeY } = this.#person;
    const top = eyeY + 0.17 + 0.5 * Math.min(0.35, Math.abs(x));
    const reach = 1.0 - 0.5 * Math.abs(y - 0.6);
    if (y > top && Math.abs(angle) < reach) {
      const fold = Math.abs(((y * 9) % 1) - 0.5);
      this.#cloth(maskColour, x, y);
      this.#scale(0.85 + 0.25 * fold);
    } else {
      const strap = Math.min(Math.abs(y - top - 0.05 + 0.2 * (Math.abs(angle) - reach)), Math.abs(y - noseY - 0.35));
      if (Math.abs(angle) >= reach && Math.abs(angle) < 1.5 && strap < 0.018) this.#mix(maskColour, 0.9);
    }
  }

  #torso(x: number, y: number, z: number): void {
    const p = this.#person;
    const neckline = 1.32 + 0.55 * p.collar * p.collar * smoothStep(0.35, 0, Math.abs(x));
    if (z > 0 && y < neckline && Math.abs(x) < 0.45 && p.headwear !== 'hood' && p.pattern !== 'suit') {
      this.#skin(x, y);
      return;
    }
    this.#cloth(p.clothes, x * 0.6, y * 0.6);
    const { clothesSecond, grain } = p;
    const cells = 2 + (grain % 4);
    switch (p.pattern) {
      case 'stripes': {
        const at = grain % 2 > 1 ? x : y;
        if (Math.abs(((at * cells + 40) % 1) - 0.5) < 0.25) this.#mix(clothesSecond, 0.9);
        break;
      }
      case 'checks':
        if (Math.abs(((x * cells + 40) % 1) - 0.5) < 0.2) this.#mix(clothesSecond, 0.5);
        if (Math.abs(((y * cells + 40) % 1) - 0.5) < 0.2) this.#mix(clothesSecond, 0.5);
        break;
      case 'noise':
        if (noise(x * cells + grain, y * cells) > 0.1) this.#mix(clothesSecond, 0.9);
        break;
      case 'suit':
        if (z > 0) {
          const open = 0.42 * smoothStep(2.8, 1.3, y);
          if (Math.abs(x) < open) this.#cloth(srgb(0.88, 0.88, 0.9), x, y);
          if (Math.abs(x) < 0.06 + 0.04 * (y - 1.2) && y > 1.2) this.#mix(clothesSecond, 1);
        }
        break;
      case 'plain':
        break;
    }
    // Folds.
    this.#scale(1 + 0.18 * noise(x * 2.2 + 0.6 * y + grain, y * 1.1 - x));
  }
}
