// The camera as pictures, one at a time: whoever asks gets the newest frame, however long the last one took.
import type { Picture } from '../../src/browser/index.js';

export class Camera {
  readonly #video: HTMLVideoElement;
  readonly #context: CanvasRenderingContext2D;
  #stream: MediaStream | undefined;

  constructor(video: HTMLVideoElement) {
    this.#video = video;
    const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    if (!context) throw new TypeError('no 2D canvas');
    this.#context = context;
  }

  get on(): boolean {
    return this.#stream !== undefined;
  }

  /** Asks for the camera. @throws DOMException where there is none, or it is not allowed. */
  async start(): Promise<void> {
    if (!('mediaDevices' in navigator)) throw new DOMException('This page may not use a camera.', 'NotFoundError');
    this.#stream = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: 'user' },
      audio: false,
    });
    this.#video.srcObject = this.#stream;
    await this.#video.play();
  }

  stop(): void {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
    this.#video.srcObject = null;
  }

  /** The next frame that the screen shows, or undefined once the camera is off. */
  async frame(): Promise<Picture | undefined> {
    await new Promise(requestAnimationFrame);
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (!this.on) return undefined;
    if (width === 0) return this.frame();
    const { canvas } = this.#context;
    // Setting a canvas's size clears it, and is slow.
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    this.#context.drawImage(this.#video, 0, 0);
    const { data } = this.#context.getImageData(0, 0, width, height);
    return { data, width, height };
  }

  /** The frame that was last answered, as a file. */
  async still(): Promise<Blob> {
    return new Promise((resolve, reject) => {
      this.#context.canvas.toBlob((blob) => {
        if (blob) resolve(blob);
        else reject(new TypeError('the frame could not be kept'));
      });
    });
  }
}
