// What the page of the browser test runs: the jobs that the server lists, and its findings sent back.
import {
  type DetectOptions,
  type Face,
  type PictureInput,
  readImage,
  requestDevice,
  RetinaFace,
} from '../../src/browser/index.js';

/** A picture as a page has it. */
export const SOURCES = [
  'pixels',
  'address',
  'URL',
  'Response',
  'Blob',
  'File',
  'bytes',
  'ArrayBuffer',
  'ImageData',
  'image',
  'canvas',
  'OffscreenCanvas',
  'ImageBitmap',
  'VideoFrame',
  'video',
] as const;
export type SourceName = (typeof SOURCES)[number];

/** Sources whose pixels lie in JavaScript from the start. */
const OF_PIXELS: readonly SourceName[] = ['pixels', 'ImageData'];

/** One detection: addresses of weights and picture, and the options. */
export interface Job {
  readonly weights: string;
  readonly picture: string;
  readonly source: SourceName;
  readonly options: DetectOptions;
}

/** What became of a job: the faces, and how the pixels came to the device. */
export interface JobFindings {
  readonly faces: readonly Face[];
  readonly pixels: number;
  /** Pictures that were copied from what the page shows, and such whose pixels were read by JavaScript. */
  readonly captured: number;
  readonly readBack: number;
}

/** What the page found, or what went wrong. */
export type Findings =
  | { readonly adapter: string; readonly jobs: readonly JobFindings[]; readonly slips: readonly string[] }
  | { readonly error: string };

const counts = { captured: 0, readBack: 0 };

/** Counts the calls of a method that end well. */
function count(prototype: object, name: string, counter: keyof typeof counts): void {
  const methods = prototype as Record<string, (...args: unknown[]) => unknown>;
  const method = methods[name]!;
  methods[name] = function (this: unknown, ...args) {
    const result = method.apply(this, args);
    counts[counter]++;
    return result;
  };
}
count(GPUQueue.prototype, 'copyExternalImageToTexture', 'captured');
count(OffscreenCanvasRenderingContext2D.prototype, 'getImageData', 'readBack');

async function imageOf(address: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/** A video that plays one frame, as it is, over and over. */
async function videoOf(canvas: HTMLCanvasElement): Promise<HTMLVideoElement> {
  const { MediaStreamTrackGenerator: Generator } = globalThis as unknown as {
    readonly MediaStreamTrackGenerator: new (options: { readonly kind: string }) => MediaStreamTrack & {
      readonly writable: WritableStream<VideoFrame>;
    };
  };
  const track = new Generator({ kind: 'video' });
  const writer = track.writable.getWriter();
  const video = document.createElement('video');
  video.muted = true;
  video.srcObject = new MediaStream([track]);
  const playing = video.play();
  const shown = new Promise((resolve) => {
    video.addEventListener('loadeddata', resolve, { once: true });
  });
  let at = 0;
  const timer = setInterval(() => {
    void writer.write(new VideoFrame(canvas, { timestamp: (at += 33_000) })).catch(() => undefined);
  }, 33);
  await Promise.all([playing, shown]);
  video.addEventListener('emptied', () => {
    clearInterval(timer);
  });
  return video;
}

async function sourceOf(name: SourceName, address: string): Promise<PictureInput> {
  if (name === 'pixels') return readImage(address);
  if (name === 'address') return address;
  if (name === 'URL') return new URL(address, location.href);
  if (name === 'image') return imageOf(address);
  const response = await fetch(address);
  if (name === 'Response') return response;
  const blob = await response.blob();
  if (name === 'Blob') return blob;
  if (name === 'File') return new File([blob], 'picture');
  if (name === 'ArrayBuffer') return blob.arrayBuffer();
  if (name === 'bytes') return new Uint8Array(await blob.arrayBuffer());
  const bitmap = await createImageBitmap(blob);
  if (name === 'ImageBitmap') return bitmap;
  if (name === 'VideoFrame') return new VideoFrame(bitmap, { timestamp: 0 });
  const { width, height } = bitmap;
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const drawing = canvas.getContext('2d')!;
  drawing.drawImage(bitmap, 0, 0);
  if (name === 'canvas') return canvas;
  if (name === 'ImageData') return drawing.getImageData(0, 0, width, height);
  if (name === 'video') return videoOf(canvas);
  const offscreen = new OffscreenCanvas(width, height);
  offscreen.getContext('2d')!.drawImage(bitmap, 0, 0);
  return offscreen;
}

/** What is told of slips of every kind. */
async function slipsOf(model: RetinaFace): Promise<string[]> {
  const broken = new Image();
  broken.src = 'no-picture.txt';
  const empty = Object.assign(document.createElement('canvas'), { width: 0 });
  const closed = await createImageBitmap(new ImageData(8, 8));
  closed.close();
  const slips: readonly unknown[] = [
    'absent.png',
    'no-picture.txt',
    broken,
    document.createElement('video'),
    empty,
    closed,
    Promise.resolve('absent.png'),
    document.body,
    await fetch('absent.png'),
  ];
  const said: string[] = [];
  for (const slip of slips) {
    for (const call of [(source: PictureInput) => model.detect(source), readImage]) {
      const outcome = await call(slip as PictureInput).then(
        () => 'no error',
        (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error)),
      );
      said.push(outcome);
    }
  }
  return said;
}

async function work(): Promise<Findings> {
  const jobs = (await (await fetch('jobs.json')).json()) as readonly Job[];
  const device = await requestDevice();
  const models = new Map<string, RetinaFace>();
  const findings: JobFindings[] = [];
  for (const { weights, picture, source, options } of jobs) {
    const model = models.get(weights) ?? (await RetinaFace.create({ weights, device }));
    models.set(weights, model);
    const given = await sourceOf(source, picture);
    Object.assign(counts, { captured: 0, readBack: 0 });
    const faces = await model.detect(given, options);
    const { captured, readBack } = counts;
    if (captured > 0 === OF_PIXELS.includes(source)) throw new Error(`${source}: captured ${captured} times`);
    const { width, height } = await readImage(source === 'Response' ? picture : given);
    if (given instanceof HTMLVideoElement) given.srcObject = null;
    findings.push({ faces, pixels: width * height, captured, readBack });
  }
  const [model] = models.values();
  const slips = await slipsOf(model!);
  for (const each of models.values()) each.dispose();
  const { vendor, architecture, description } = device.adapterInfo;
  return { adapter: [vendor, architecture, description].filter(Boolean).join(', '), jobs: findings, slips };
}

const findings = await work().catch((error: unknown): Findings => ({
  error: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
}));
const json = JSON.stringify(findings);
document.title = json;
await fetch('findings', { method: 'POST', body: json });
