import type { Random } from '../random.js';
import { type Colour, mixColours, scaleColour, srgb } from './canvas.js';

/** What is worn on the head. */
export type Headwear = 'none' | 'cap' | 'beanie' | 'brim' | 'helmet' | 'hood' | 'turban' | 'band';

/** Everything about a person that does not change with pose and light. Lengths are in half heights of the head. */
export interface Person {
  /** Widths relative to an average head. */
  readonly width: number;
  readonly jaw: number;
  readonly cheeks: number;
  readonly depth: number;
  /** Of features, down from the middle of the head. */
  readonly eyeY: number;
  readonly browY: number;
  readonly noseY: number;
  readonly mouthY: number;
  readonly eyeX: number;
  readonly eyeWidth: number;
  readonly eyeOpen: number;
  readonly gaze: readonly [number, number];
  readonly socket: number;
  readonly browRidge: number;
  readonly browThickness: number;
  readonly browArch: number;
  readonly browDensity: number;
  readonly noseHeight: number;
  readonly noseWidth: number;
  readonly mouthWidth: number;
  readonly lips: number;
  /** −1 sad to 1 laughing. */
  readonly smile: number;
  /** 0 closed to 1 wide open. */
  readonly open: number;
  readonly teeth: boolean;
  readonly chin: number;
  readonly wrinkles: number;
  readonly skin: Colour;
  readonly lip: Colour;
  readonly iris: Colour;
  readonly blush: number;
  readonly shine: number;
  readonly freckles: number;
  readonly hair: Colour;
  /** Thickness of the hair on the head; 0 is bald. */
  readonly hairThickness: number;
  readonly hairCover: number;
  readonly hairCurl: number;
  /** Height of the hairline at the front, the temples, the sideburns, behind the ears and at the nape. */
  readonly hairline: readonly [number, number, number, number, number];
  /** How far a fringe hangs down, and to which side. */
  readonly fringe: number;
  readonly parting: number;
  /** Where long hair ends, down from the middle of the head; 0 without. */
  readonly hairLength: number;
  readonly beard: number;
  readonly moustache: number;
  readonly stubble: number;
  readonly beardColour: Colour;
  readonly makeUp: number;
  readonly headwear: Headwear;
  readonly headwearColour: Colour;
  readonly headwearSecond: Colour;
  readonly headwearY: number;
  readonly headwearThickness: number;
  readonly glasses: 'none' | 'clear' | 'dark';
  readonly glassesColour: Colour;
  readonly glassesSize: number;
  readonly mask: boolean;
  readonly maskColour: Colour;
  readonly clothes: Colour;
  readonly clothesSecond: Colour;
  readonly pattern: 'plain' | 'stripes' | 'checks' | 'noise' | 'suit';
  readonly collar: number;
  readonly shoulders: number;
  /** Offset into noise, so that no two people share theirs. */
  readonly grain: number;
}

/** Skin from the lightest to the darkest, as screens show it in full light. */
const SKIN: readonly Colour[] = [
  srgb(0.96, 0.83, 0.76),
  srgb(0.92, 0.76, 0.66),
  srgb(0.88, 0.7, 0.58),
  srgb(0.82, 0.63, 0.49),
  srgb(0.74, 0.53, 0.4),
  srgb(0.62, 0.42, 0.3),
  srgb(0.47, 0.31, 0.22),
  srgb(0.34, 0.22, 0.16),
];

const HAIR: readonly Colour[] = [
  srgb(0.08, 0.07, 0.07),
  srgb(0.13, 0.1, 0.08),
  srgb(0.22, 0.15, 0.11),
  srgb(0.32, 0.21, 0.14),
  srgb(0.45, 0.31, 0.19),
  srgb(0.66, 0.5, 0.32),
  srgb(0.8, 0.68, 0.48),
  srgb(0.5, 0.24, 0.13),
  srgb(0.5, 0.49, 0.48),
  srgb(0.82, 0.81, 0.8),
];

const IRIS: readonly Colour[] = [
  srgb(0.2, 0.12, 0.07),
  srgb(0.3, 0.19, 0.1),
  srgb(0.38, 0.3, 0.16),
  srgb(0.32, 0.42, 0.5),
  srgb(0.4, 0.46, 0.44),
];

/** Any colour; most are dull, as most things are. */
export function anyColour(random: Random): Colour {
  const value = random.next() ** 0.8;
  const hue = 6 * random.next();
  const saturation = random.next() ** (random.chance(0.4) ? 0.6 : 2.5);
  const channel = (shift: number): number => {
    const distance = Math.abs(((hue + shift) % 6) - 3);
    return value * (1 - saturation * (1 - Math.min(1, Math.max(0, distance - 1))));
  };
  return srgb(channel(0), channel(2), channel(4));
}

export function skinColour(random: Random): Colour {
  const at = (SKIN.length - 1) * (random.chance(0.65) ? 0.6 * random.next() : random.next());
  const low = Math.floor(at);
  const colour = mixColours(SKIN[low]!, SKIN[Math.min(SKIN.length - 1, low + 1)]!, at - low);
  const tint = 0.06 * random.normal();
  return [colour[0] * (1 + 0.03 * random.normal()), colour[1], colour[2] * (1 + tint)];
}

/** A person at random. */
export function drawPerson(random: Random): Person {
  const normal = (mean: number, deviation: number): number =>
    mean + deviation * Math.max(-2.5, Math.min(2.5, random.normal()));
  const child = random.chance(0.12);
  const male = random.chance(0.5);
  const old = !child && random.chance(0.25);
  const skin = skinColour(random);
  const darkness = 1 - Math.min(1, skin[1] / SKIN[0]![1]);
  const hairIndex = old && random.chance(0.7) ? 8 + random.int(2) : darkness > 0.75 ? random.int(3) : random.int(8);
  const hair = scaleColour(random.chance(0.04) ? anyColour(random) : HAIR[hairIndex]!, random.between(0.7, 1.2));
  const bald = male && !child && random.chance(old ? 0.4 : 0.12);
  const cropped = male ? random.chance(0.45) : random.chance(0.08);
  const long = !bald && (male ? random.chance(0.08) : random.chance(0.75));
  const afro = !bald && !cropped && random.chance(0.08);
  const recede = male && !child ? Math.max(0, normal(0.02, 0.07)) : 0;
  const bearded = male && !child && random.chance(0.3);
  const headwear: Headwear = random.chance(0.3)
    ? random.pick([
        'cap',
        'cap',
        'cap',
        'beanie',
        'beanie',
        'brim',
        'helmet',
        'hood',
        'hood',
        'turban',
        'band',
      ] as const)
    : 'none';
  const glasses = random.chance(0.28) ? (random.chance(0.5) ? 'dark' : 'clear') : 'none';
  const eyeY = normal(child ? 0.07 : 0, 0.02);
  const open = random.chance(0.3) ? random.next() ** 1.5 : 0;
  const smile = random.chance(0.45) ? random.between(0.3, 1) : normal(0, 0.25);
  const clothes = anyColour(random);
  const lipBase = mixColours(skin, srgb(0.62, 0.3, 0.28), 0.3 + 0.25 * random.next());
  const makeUp = !male && !child ? (random.chance(0.5) ? random.next() : 0) : 0;
  return {
    width: normal(1, 0.055),
    jaw: normal(male ? 1.04 : child ? 0.95 : 0.96, 0.08),
    cheeks: normal(child ? 1.05 : 1, 0.08),
    depth: normal(1, 0.05),
    eyeY,
    browY: eyeY - normal(child ? 0.19 : male ? 0.155 : 0.175, 0.02),
    noseY: normal(child ? 0.32 : 0.33, 0.025),
    mouthY: normal(0.585, 0.022),
    eyeX: normal(0.285, 0.016),
    eyeWidth: normal(child ? 0.135 : 0.128, 0.01),
    eyeOpen: random.chance(0.08) ? 0 : Math.max(0.25, normal(smile > 0.6 ? 0.75 : 0.95, 0.22)) * (child ? 1.15 : 1),
    gaze: [normal(0, 0.02), normal(0, 0.01)],
    socket: Math.max(0, normal(child ? 0.5 : 1, 0.3)),
    browRidge: Math.max(0, normal(male && !child ? 1.2 : 0.5, 0.35)),
    browThickness: Math.max(0.014, normal(male ? 0.036 : 0.026, 0.008)),
    browArch: normal(male ? 0.02 : 0.035, 0.015),
    browDensity: Math.min(1, Math.max(0.15, normal(child ? 0.5 : 0.8, 0.2))),
    noseHeight: Math.max(0.1, normal(child ? 0.17 : 0.24, 0.035)),
    noseWidth: normal(1 + 0.25 * darkness, 0.12),
    mouthWidth: normal(0.22, 0.018) * (1 + 0.2 * Math.max(0, smile)),
    lips: Math.max(0.35, normal(1 + 0.35 * darkness - (old ? 0.25 : 0), 0.22)),
    smile,
    open,
    teeth: random.chance(0.75),
    chin: normal(1, 0.25),
    wrinkles: old ? random.between(0.4, 1) : random.between(0, 0.35),
    skin,
    lip:
      makeUp > 0.3 ? mixColours(lipBase, srgb(0.7, random.between(0.05, 0.3), random.between(0.1, 0.3)), 0.7) : lipBase,
    iris: IRIS[random.int(darkness > 0.5 ? 2 : IRIS.length)]!,
    blush: Math.max(0, normal(0.6, 0.4)),
    shine: Math.max(0, normal(0.5, 0.35)),
    freckles: random.chance(0.15) ? random.next() : 0,
    hair,
    hairThickness: bald
      ? 0
      : afro
        ? random.between(0.2, 0.5)
        : cropped
          ? random.between(0.01, 0.05)
          : random.between(0.06, 0.18),
    hairCover: bald ? (random.chance(0.5) ? 0 : 0.3) : cropped ? random.between(0.65, 1) : 1,
    hairCurl: afro ? random.between(0.6, 1) : random.next() ** 2,
    hairline: [
      normal(-0.62, 0.045) - recede,
      normal(-0.48, 0.05) - 1.6 * recede,
      normal(male ? 0.12 : 0, 0.08),
      normal(0.3, 0.06),
      normal(0.55, 0.06),
    ],
    fringe: !bald && !cropped && random.chance(0.45) ? random.between(0.08, 0.42) : 0,
    parting: normal(0, 0.5),
    hairLength: long ? random.between(0.7, 2.2) : 0,
    beard: bearded ? random.between(0.4, 1) : 0,
    moustache: bearded ? random.between(0.5, 1) : male && !child && random.chance(0.08) ? random.between(0.5, 1) : 0,
    stubble: male && !child ? random.next() ** 2 : 0,
    beardColour: scaleColour(mixColours(hair, srgb(0.8, 0.8, 0.78), old ? random.next() : 0), random.between(0.8, 1.2)),
    makeUp,
    headwear,
    headwearColour: anyColour(random),
    headwearSecond: anyColour(random),
    headwearY: normal(headwear === 'band' ? -0.5 : -0.42, 0.06),
    headwearThickness: headwear === 'helmet' ? random.between(0.15, 0.28) : random.between(0.06, 0.14),
    glasses,
    glassesColour: random.chance(0.7) ? srgb(0.06, 0.06, 0.07) : anyColour(random),
    glassesSize: normal(1, 0.14),
    mask: random.chance(0.03),
    maskColour: random.chance(0.5) ? srgb(0.75, 0.85, 0.9) : anyColour(random),
    clothes,
    clothesSecond: random.chance(0.5) ? anyColour(random) : scaleColour(clothes, random.between(0.3, 2)),
    pattern: random.pick(['plain', 'plain', 'plain', 'stripes', 'checks', 'noise', 'suit'] as const),
    collar: random.next(),
    shoulders: normal(male ? 1.08 : child ? 0.8 : 0.95, 0.08),
    grain: 256 * random.next(),
  };
}
