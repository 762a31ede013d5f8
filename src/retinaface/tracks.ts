import { type Box, type Face, iouOf, type Landmarks, mapLandmarks, type Point } from '../image/face.js';

/** A face of a video: the same `id` in every frame in which it is seen, its box and points smoothed. */
export interface TrackedFace extends Face {
  /** A whole number from 1 on that no other face of this tracker has. */
  readonly id: number;
  /** Frames in which it was seen, this one included. */
  readonly seen: number;
}

/** How faces are followed. */
export interface TrackRules {
  /** A new face must score at least this. */
  readonly scoreThreshold: number;
  /** Overlap (IoU) of a face with the place where it is expected, at least. */
  readonly iouThreshold: number;
  /** Frames that a face may be out of sight before it is forgotten. */
  readonly keepFrames: number;
  /** Cutoff frequency of a face at rest, in hertz: lower is steadier. Infinity smooths nothing. */
  readonly minCutoff: number;
  /** How much of its speed, in face widths a second, is added to the cutoff: higher lags less. */
  readonly beta: number;
}

/** Cutoff of the speed itself, in hertz. */
const SPEED_CUTOFF = 1;

/**
 * One number in time, by the One Euro filter (Casiez, Roussel, Vogel 2012): a low pass whose cutoff grows with the speed.
 * Speeds are relative to `scale`, so that small and large faces are smoothed alike.
 */
class Smooth {
  #value: number;
  #speed = 0;
  readonly #rules: TrackRules;

  constructor(value: number, rules: TrackRules) {
    this.#value = value;
    this.#rules = rules;
  }

  /** Where it would be after so many seconds. */
  ahead(seconds: number): number {
    return this.#value + this.#speed * seconds;
  }

  next(value: number, seconds: number, scale: number): number {
    const { minCutoff, beta } = this.#rules;
    if (seconds > 0) {
      this.#speed += share(SPEED_CUTOFF, seconds) * ((value - this.#value) / seconds - this.#speed);
      const cutoff = minCutoff + (beta * Math.abs(this.#speed)) / scale;
      this.#value += share(cutoff, seconds) * (value - this.#value);
    }
    return this.#value;
  }
}

/** What a new value counts in a low pass of first order. */
function share(cutoff: number, seconds: number): number {
  if (cutoff === Infinity) return 1;
  const turn = 2 * Math.PI * cutoff * seconds;
  return turn / (turn + 1);
}

const SIDES = ['x1', 'y1', 'x2', 'y2'] as const;
const POINTS = ['leftEye', 'rightEye', 'nose', 'leftMouth', 'rightMouth'] as const;

/** One face over the frames. */
class Track {
  readonly id: number;
  seen = 0;
  missed = 0;
  #time: number;
  readonly #sides: Readonly<Record<keyof Box, Smooth>>;
  #points: Readonly<Record<keyof Landmarks, { readonly x: Smooth; readonly y: Smooth }>> | undefined;
  readonly #rules: TrackRules;

  constructor(id: number, { box }: Face, time: number, rules: TrackRules) {
    this.id = id;
    this.#time = time;
    this.#rules = rules;
    const side = (key: keyof Box): Smooth => new Smooth(box[key], rules);
    this.#sides = { x1: side('x1'), y1: side('y1'), x2: side('x2'), y2: side('y2') };
  }

  /** Where it is expected at `time`, in seconds. */
  at(time: number): Box {
    const seconds = time - this.#time;
    const [x1, y1, x2, y2] = SIDES.map((key) => this.#sides[key].ahead(seconds)) as [number, number, number, number];
    return { x1, y1, x2, y2 };
  }

  /** Takes what was found of it at `time`. */
  follow(face: Face, time: number): TrackedFace {
    const seconds = time - this.#time;
    this.#time = time;
    this.seen++;
    this.missed = 0;
    const { box, landmarks, score } = face;
    const scale = Math.max(1e-6, box.x2 - box.x1, box.y2 - box.y1);
    const [x1, y1, x2, y2] = SIDES.map((key) => this.#sides[key].next(box[key], seconds, scale)) as [
      number,
      number,
      number,
      number,
    ];
    const smoothed = { id: this.id, seen: this.seen, score, box: { x1, y1, x2, y2 } };
    if (!landmarks) return smoothed;
    const points = (this.#points ??= Object.fromEntries(
      POINTS.map((name) => {
        const { x, y } = landmarks[name];
        return [name, { x: new Smooth(x, this.#rules), y: new Smooth(y, this.#rules) }];
      }),
    ) as Readonly<Record<keyof Landmarks, { readonly x: Smooth; readonly y: Smooth }>>);
    let at = 0;
    const next = ({ x, y }: Point): Point => {
      const filter = points[POINTS[at++]!];
      return { x: filter.x.next(x, seconds, scale), y: filter.y.next(y, seconds, scale) };
    };
    return { ...smoothed, landmarks: mapLandmarks(landmarks, next) };
  }
}

/**
 * Identities of faces over frames. Each known face takes the found one that overlaps the place where it is expected the most,
 * the best pairs first: those of the threshold and better before all others, which may only go on a face that is known (as
 * in ByteTrack, Zhang et al. 2022), so that a face that turns away a little keeps its identity.
 */
export class Tracks {
  #tracks: Track[] = [];
  #last = 0;
  readonly #rules: TrackRules;

  constructor(rules: TrackRules) {
    this.#rules = rules;
  }

  /** The faces that are seen in a frame at `time`, in seconds; those followed longest first. */
  next(faces: readonly Face[], time: number): TrackedFace[] {
    const { scoreThreshold, keepFrames } = this.#rules;
    const sure = faces.filter(({ score }) => score >= scoreThreshold);
    const found = new Map<Track, Face>();
    const left = this.#match(sure, this.#tracks, time, found);
    const waiting = this.#tracks.filter((track) => !found.has(track));
    const unsure = faces.filter(({ score }) => score < scoreThreshold);
    this.#match(unsure, waiting, time, found);
    for (const track of this.#tracks) if (!found.has(track)) track.missed++;
    this.#tracks = this.#tracks.filter(({ missed }) => missed <= keepFrames);
    for (const face of left) {
      const track = new Track(++this.#last, face, time, this.#rules);
      this.#tracks.push(track);
      found.set(track, face);
    }
    return this.#tracks.flatMap((track) => {
      const face = found.get(track);
      return face ? [track.follow(face, time)] : [];
    });
  }

  /** Forgets all faces; identities go on counting. */
  reset(): void {
    this.#tracks = [];
  }

  /** Pairs faces with tracks, the best overlap first; answers the faces that are left. */
  #match(faces: readonly Face[], tracks: readonly Track[], time: number, found: Map<Track, Face>): Face[] {
    const pairs = tracks.flatMap((track) => {
      const expected = track.at(time);
      return faces.map((face) => ({ track, face, overlap: iouOf(expected, face.box) }));
    });
    pairs.sort((a, b) => b.overlap - a.overlap);
    const left = new Set(faces);
    for (const { track, face, overlap } of pairs) {
      if (overlap < this.#rules.iouThreshold) break;
      if (found.has(track) || !left.has(face)) continue;
      found.set(track, face);
      left.delete(face);
    }
    return [...left];
  }
}
