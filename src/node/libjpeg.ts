import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** What libjpeg-turbo's WebAssembly module exports: its TurboJPEG interface and the heap that it works on. */
interface TurboJpeg {
  readonly memory: WebAssembly.Memory;
  malloc(bytes: number): number;
  tjInitDecompress(): number;
  tjDecompressHeader3(handle: number, jpeg: number, size: number, w: number, h: number, sub: number, colour: number): number;
  tjDecompress2(
    handle: number,
    jpeg: number,
    size: number,
    out: number,
    width: number,
    pitch: number,
    height: number,
    format: number,
    flags: number,
  ): number;
}

/** TurboJPEG's number of RGBA. */
const TJPF_RGBA = 7;

const compiled = new WebAssembly.Module(
  readFileSync(createRequire(import.meta.url).resolve('@cwasm/jpeg-turbo/jpeg-turbo.wasm')),
);

/**
 * Decodes a JPEG of one or three components with libjpeg-turbo, to the bit as OpenCV and Pillow do.
 *
 * Every call has an instance of its own, which is garbage afterwards: the heap of a WebAssembly module never shrinks, and
 * libjpeg's way out of a fatal error, `longjmp`, leaves its allocations behind.
 *
 * @returns RGBA of `width` × `height`, the size in the file's frame header
 * @throws Error for data that is damaged or incomplete, where libjpeg itself would only warn
 */
export function decodeLibjpeg(jpeg: Uint8Array, width: number, height: number): Uint8Array {
  const stop = (what: string) => (): never => {
    throw new Error(what);
  };
  const { exports } = new WebAssembly.Instance(compiled, {
    env: { setjmp: () => 0, longjmp: stop('libjpeg found an error that it cannot go on from') },
    wasi_snapshot_preview1: {
      environ_sizes_get: () => 0,
      environ_get: () => 0,
      proc_exit: stop('libjpeg gave up'),
      fd_close: () => 0,
      fd_seek: () => 0,
      // 8 is "bad file descriptor": there is no stderr in there.
      fd_write: () => 8,
    },
  });
  const turbo = exports as unknown as TurboJpeg;
  const allocate = (bytes: number): number => {
    const pointer = turbo.malloc(bytes);
    if (pointer === 0) throw new Error(`no room for ${bytes} bytes`);
    // A pointer is unsigned; WebAssembly hands it over signed.
    return pointer >>> 0;
  };
  const input = allocate(jpeg.length);
  new Uint8Array(turbo.memory.buffer, input, jpeg.length).set(jpeg);
  const header = allocate(16);
  const handle = turbo.tjInitDecompress();
  if (handle === 0) throw new Error('libjpeg did not start');
  if (turbo.tjDecompressHeader3(handle, input, jpeg.length, header, header + 4, header + 8, header + 12) !== 0) {
    throw new Error('damaged headers');
  }
  const output = allocate(width * height * 4);
  if (turbo.tjDecompress2(handle, input, jpeg.length, output, width, width * 4, height, TJPF_RGBA, 0) !== 0) {
    throw new Error('damaged or missing image data');
  }
  return new Uint8Array(turbo.memory.buffer).slice(output, output + width * height * 4);
}
