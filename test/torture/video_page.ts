// The script of a page that follows the faces of a camera.
import { FaceTracker, type MemoryReport, RetinaFace } from '../../src/browser/inference.js';

/** What following a camera came to. */
export interface Followed {
  readonly frames: number;
  readonly faces: number;
  readonly seconds: number;
  /** Milliseconds from the call with the frame to its boxes, in the middle. */
  readonly median: number;
  readonly width: number;
  readonly height: number;
  readonly memory: MemoryReport;
}

/** What the page offers to the test. */
export interface CameraPage {
  /** Starts the camera, and loads the weights. */
  open(weights: string): Promise<void>;
  /** Searches so many frames of the camera: each that it shows, or as fast as they are searched, whether it shows a new one or not. */
  follow(frames: number, options: { readonly size: number; readonly waiting: boolean }): Promise<Followed>;
}

const video = document.createElement('video');
let model: RetinaFace;

Object.assign(globalThis, {
  async open(weights) {
    model = await RetinaFace.create({ weights });
    video.muted = true;
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
    await video.play();
  },
  async follow(frames, { size, waiting }) {
    const tracker = new FaceTracker(model, { detect: { size } });
    const times: number[] = [];
    let faces = 0;
    const began = performance.now();
    while (times.length < frames) {
      if (waiting) await new Promise((shown) => video.requestVideoFrameCallback(shown));
      const taken = performance.now();
      faces += (await tracker.next(video)).length;
      times.push(performance.now() - taken);
    }
    const seconds = (performance.now() - began) / 1000;
    const median = times.sort((a, b) => a - b)[frames >> 1]!;
    return {
      frames,
      faces,
      seconds,
      median,
      width: video.videoWidth,
      height: video.videoHeight,
      memory: model.gpu.memory(),
    };
  },
} satisfies CameraPage);
