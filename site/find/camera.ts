// The camera as pictures, one at a time: whoever asks gets the newest frame, however long the last one took.
import { html } from '../dom.js';

export class Camera {
  readonly #video: HTMLVideoElement;
  #stream: MediaStream | undefined;

  constructor(video: HTMLVideoElement) {
    this.#video = video;
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

  /** The next frame that the screen shows, the caller's to close; undefined once the camera is off. */
  async frame(): Promise<ImageBitmap | undefined> {
    do await new Promise(requestAnimationFrame);
    while (this.on && this.#video.videoWidth === 0);
    return this.on ? createImageBitmap(this.#video) : undefined;
  }

  /** The frame that is seen now, as a file. */
  async still(): Promise<Blob> {
    const { videoWidth: width, videoHeight: height } = this.#video;
    const canvas = html('canvas', { width, height });
    canvas.getContext('2d')?.drawImage(this.#video, 0, 0);
    return new Promise((resolve, reject) => {
      canvas.toBlob((blob) => {
        if (blob) resolve(blob);
        else reject(new TypeError('the frame could not be kept'));
      });
    });
  }
}
