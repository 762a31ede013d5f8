// A service on a port of its own for tests, and what they send to it.
import { deflateSync } from 'node:zlib';
import { decodeImage, encodeJpeg, encodePng } from '../../src/node/codecs.js';
import { readFile } from 'node:fs/promises';
import { Engine, type EngineOptions } from '../../src/scale/engine.js';
import { openService, type Service, type ServiceOptions } from '../../src/scale/service.js';
import { openServiceMetrics } from '../../src/scale/service_metrics.js';
import { drawnPicture } from '../helpers/drawn_picture.js';

const MIB = 2 ** 20;

/** An engine as `retinaface serve` opens one, for small pictures. */
export function openEngine(options: Partial<EngineOptions> = {}): Promise<Engine> {
  return Engine.open({
    weights: 'synthetic',
    batchWait: 5,
    threads: 1,
    maxPixels: 1e6,
    maxSize: 640,
    decodeTimeout: 20_000,
    queue: 256,
    timeout: 60_000,
    ...options,
  });
}

/** A service around it. */
export async function serviceOf(engine: Engine, options: Partial<ServiceOptions> = {}): Promise<Service> {
  return openService({
    engine,
    metrics: await openServiceMetrics(),
    host: '127.0.0.1',
    port: 0,
    maxBytes: MIB,
    maxPixels: 1e6,
    maxPictures: 4,
    maxSize: 640,
    maxHeld: 256 * MIB,
    connections: 256,
    timeout: 60_000,
    version: '0.0.0',
    ...options,
  });
}

/** What an answer may be. */
export interface Answer {
  readonly width: number;
  readonly height: number;
  readonly faces: readonly Readonly<Record<string, unknown>>[];
  readonly batch: number;
  readonly times: Readonly<Record<string, number>>;
  readonly error?: Readonly<Record<'name' | 'operation' | 'expected' | 'got' | 'remedy' | 'message', string>>;
  readonly status?: number;
  readonly name: string;
  readonly pictures: readonly Answer[];
}

/** Posts bytes. */
export async function post(
  { address }: Service,
  path: string,
  body: Uint8Array | FormData | string,
  headers: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<{ readonly status: number; readonly headers: Headers; readonly answer: Answer }> {
  const typed = body instanceof FormData ? {} : { 'content-type': 'application/octet-stream' };
  const response = await fetch(address + path, {
    method: 'POST',
    body: body as RequestInit['body'] & {},
    headers: { ...typed, ...headers },
    signal: signal ?? null,
  });
  return { status: response.status, headers: response.headers, answer: (await response.json()) as Answer };
}

const drawn = await readFile(new URL('../../fixtures/pictures/scene_2.jpg', import.meta.url));

/** A scene with faces, 640×640, as a JPEG. */
export const scene: Uint8Array = new Uint8Array(drawn);

/** A small part of it with a face, as a PNG. */
export const face: Uint8Array = (() => {
  const { data, width } = decodeImage(scene, 'the scene');
  const [left, top, side] = [336, 352, 192];
  const part = new Uint8Array(4 * side * side);
  for (let y = 0; y < side; y++) {
    part.set(data.subarray(4 * ((top + y) * width + left), 4 * ((top + y) * width + left + side)), 4 * side * y);
  }
  return encodePng({ data: part, width: side, height: side });
})();

/** A small picture without a face, as a JPEG. */
export const empty: Uint8Array = encodeJpeg(drawnPicture(64, 48));

/** A PNG of so many pixels by its header, whose image data decompresses to so many bytes. */
export function forgedPng(width: number, height: number, bytes: number): Uint8Array {
  const png = Uint8Array.from(encodePng({ data: new Uint8Array(4), width: 1, height: 1 }));
  const view = new DataView(png.buffer);
  view.setUint32(16, width);
  view.setUint32(20, height);
  const packed = deflateSync(new Uint8Array(bytes));
  const chunk = (type: string, data: Uint8Array): Uint8Array => {
    const whole = new Uint8Array(12 + data.length);
    new DataView(whole.buffer).setUint32(0, data.length);
    whole.set(new TextEncoder().encode(type), 4);
    whole.set(data, 8);
    return whole;
  };
  return Buffer.concat([png.subarray(0, 33), chunk('IDAT', packed), chunk('IEND', new Uint8Array())]);
}
