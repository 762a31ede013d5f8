import { checkOptions, describe } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import type { Face } from '../image/face.js';
import type { PictureInput } from '../image/source.js';
import { DETECT_DEFAULTS, type DetectOptions } from './detect_options.js';
import { type TrackedFace, type TrackRules, Tracks } from './tracks.js';

/** How faces of a video are found and followed. */
export interface TrackerOptions extends Partial<TrackRules> {
  /**
   * Least score of a new face; 0 to 1. Default 0.5. One that is known is followed down to `detect.scoreThreshold`, which is 0.3
   * unless that is given.
   */
  readonly scoreThreshold?: number;
  /** Overlap (IoU) of a face with where it is expected, at least; 0 to 1. Default 0.3. */
  readonly iouThreshold?: number;
  /** Frames that a face may be out of sight and come back as itself. Default 10. */
  readonly keepFrames?: number;
  /** Cutoff of the smoothing at rest, in hertz: lower is steadier, `Infinity` smooths nothing. Above 0. Default 1.5. */
  readonly minCutoff?: number;
  /** How much the cutoff grows with the speed, in face widths a second: higher lags less. At least 0. Default 4. */
  readonly beta?: number;
  /** How each frame is searched; `size: 320` is much faster than the frame's own size. */
  readonly detect?: Omit<DetectOptions, 'signal' | 'onCut'>;
}

/** Options of one frame. */
export interface FrameOptions {
  /** When the frame was taken, in seconds, never earlier than the one before. Default: now. */
  readonly time?: number;
  /** Ends the wait for this frame with the signal's reason; the tracker goes on with the next one. */
  readonly signal?: AbortSignal;
}

const DEFAULTS = { scoreThreshold: 0.5, iouThreshold: 0.3, keepFrames: 10, minCutoff: 1.5, beta: 4 } as const;
const KEPT_SCORE = 0.3;

/** What finds the faces of a frame: a `RetinaFace`, or anything that answers as it does. */
export interface FrameDetector {
  detect(frame: PictureInput, options?: DetectOptions): Promise<readonly Face[]>;
}

interface Waiting {
  readonly frame: PictureInput;
  readonly options: FrameOptions;
  readonly promise: Promise<TrackedFace[]>;
  readonly resolve: (faces: TrackedFace[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Follows faces through a video: one identity a face over its frames, boxes and points smoothed.
 *
 * ```ts
 * const tracker = new FaceTracker(model, { detect: { size: 320 } });
 * const draw = async () => {
 *   for (const { id, box } of await tracker.next(video)) …
 *   video.requestVideoFrameCallback(draw);
 * };
 * ```
 *
 * One frame is searched at a time. A frame that comes meanwhile waits, and a newer one takes its place: where the device is
 * slower than the camera, the newest frame wins, and every `next` that waited is answered with its faces. A waiting video or
 * canvas is looked at when its turn comes; a VideoFrame must stay open until its promise settles.
 */
export class FaceTracker {
  readonly #detector: FrameDetector;
  readonly #tracks: Tracks;
  readonly #detect: DetectOptions;
  #busy = false;
  #waiting: Waiting | undefined;
  #time = -Infinity;
  #dropped = 0;

  /** @throws ArgumentError for options that are unknown or out of range. */
  constructor(detector: FrameDetector, options: TrackerOptions = {}) {
    if (typeof (detector as Partial<FrameDetector> | undefined)?.detect !== 'function') {
      throw new ArgumentError({
        operation: 'new FaceTracker',
        expected: 'a model',
        got: describe(detector),
        remedy: 'Pass what `await RetinaFace.create()` answers.',
      });
    }
    checkOptions('new FaceTracker', options, {
      scoreThreshold: 'number',
      iouThreshold: 'number',
      keepFrames: 'number',
      minCutoff: 'number',
      beta: 'number',
      detect: 'object',
    });
    const rules: TrackRules = {
      scoreThreshold: options.scoreThreshold ?? DEFAULTS.scoreThreshold,
      iouThreshold: options.iouThreshold ?? DEFAULTS.iouThreshold,
      keepFrames: options.keepFrames ?? DEFAULTS.keepFrames,
      minCutoff: options.minCutoff ?? DEFAULTS.minCutoff,
      beta: options.beta ?? DEFAULTS.beta,
    };
    const { scoreThreshold, iouThreshold, keepFrames, minCutoff, beta } = rules;
    check('scoreThreshold', scoreThreshold, scoreThreshold >= 0 && scoreThreshold <= 1, 'between 0 and 1');
    check('iouThreshold', iouThreshold, iouThreshold > 0 && iouThreshold <= 1, 'above 0 and at most 1');
    check('keepFrames', keepFrames, Number.isInteger(keepFrames) && keepFrames >= 0, 'a whole number of at least 0');
    check('minCutoff', minCutoff, minCutoff > 0, 'above 0');
    check('beta', beta, beta >= 0, 'at least 0');
    this.#detector = detector;
    this.#tracks = new Tracks(rules);
    const kept = Math.min(KEPT_SCORE, scoreThreshold);
    this.#detect = { ...DETECT_DEFAULTS, scoreThreshold: kept, ...options.detect };
  }

  /** Frames whose place a newer one took. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * The faces of a frame, those followed longest first: of this frame, or of a newer one that took its place while it waited.
   * @throws what `detect` throws of that frame, after which the tracker goes on; ArgumentError for a time that runs backwards.
   */
  next(frame: PictureInput, options: FrameOptions = {}): Promise<TrackedFace[]> {
    if (!this.#busy) return this.#search(frame, options);
    const replaced = this.#waiting;
    let settle: Pick<Waiting, 'resolve' | 'reject'> | undefined;
    const promise = new Promise<TrackedFace[]>((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#waiting = { frame, options, promise, ...settle! };
    if (replaced) {
      this.#dropped++;
      promise.then(replaced.resolve, replaced.reject);
    }
    return promise;
  }

  /** Forgets all faces, as where the video jumps; identities go on counting. */
  reset(): void {
    this.#tracks.reset();
    this.#time = -Infinity;
  }

  async #search(frame: PictureInput, options: FrameOptions): Promise<TrackedFace[]> {
    this.#busy = true;
    try {
      checkOptions('FaceTracker.next', options, { time: 'number', signal: 'object' });
      const { time, signal } = options;
      signal?.throwIfAborted();
      const taken = time ?? performance.now() / 1000;
      check('time', taken, taken >= this.#time, `at least that of the frame before, ${this.#time}`);
      const faces = await this.#detector.detect(frame, { ...this.#detect, ...(signal ? { signal } : {}) });
      this.#time = taken;
      return this.#tracks.next(faces, taken);
    } finally {
      this.#busy = false;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting) this.#search(waiting.frame, waiting.options).then(waiting.resolve, waiting.reject);
    }
  }
}

function check(name: string, value: unknown, valid: boolean, expected: string): void {
  if (valid) return;
  throw new ArgumentError({
    operation: 'FaceTracker',
    expected: `${name} to be ${expected}`,
    got: describe(value),
    remedy: `Pass another ${name}, or leave it out.`,
  });
}
