import { LimitError } from '../gpu/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Picture } from '../image/picture.js';
import { Tensor } from '../tensor/tensor.js';

/** Bytes of a picture that are on the device at once; a larger one comes in bands, which take the same memory in turn. */
const BAND_BYTES = 2 ** 26;

/** Up to so many bytes a picture has memory of its own until it is submitted: those of a pass go in one submission. */
const OWN_BYTES = 2 ** 24;

/** Rows of an output, and where the pixels are that they are made of. */
export interface Band {
  /** Rows `first` to `first + rows` of the output. */
  readonly first: number;
  readonly rows: number;
  /** Rows of the picture from `sourceRow` on, packed RGBA. */
  readonly sourceRow: number;
  readonly source: Tensor<'u32'>;
}

/**
 * Uploads a picture in as many bands as the device needs, and calls `each` with the output rows that can be made of one.
 * `sourceRows` answers the first row of the picture that output rows from `first` to `end` read, and the one behind the last;
 * it may reach beyond the picture.
 * @throws LimitError where a single output row reads more than the device can hold.
 */
export function eachBand(
  gpu: Gpu,
  picture: Picture,
  options: {
    readonly operation: string;
    readonly outputRows: number;
    readonly sourceRows: (first: number, end: number) => readonly [from: number, to: number];
    /** Bytes of a band at most. */
    readonly bytes?: number;
  },
  each: (band: Band) => void,
): void {
  const { operation, outputRows, sourceRows, bytes = BAND_BYTES } = options;
  const { width, height } = picture;
  const limit = Math.min(bytes, gpu.largestTensor);
  const within = (row: number): number => Math.min(height, Math.max(0, row));
  const span = (first: number, rows: number): { readonly from: number; readonly count: number } => {
    const [from, to] = sourceRows(first, first + rows);
    const start = Math.min(within(Math.floor(from)), height - 1);
    return { from: start, count: Math.max(1, within(Math.ceil(to)) - start) };
  };
  let rows = outputRows;
  for (let first = 0; first < outputRows; first += rows) {
    rows = Math.min(rows, outputRows - first);
    let { from, count } = span(first, rows);
    while (count * width * 4 > limit && rows > 1) {
      rows = Math.ceil(rows / 2);
      ({ from, count } = span(first, rows));
    }
    if (count * width * 4 > limit) {
      throw new LimitError({
        operation,
        expected: `at most ${limit.toLocaleString('en')} bytes of a picture for one row of the result`,
        got: `${(count * width * 4).toLocaleString('en')}, ${count} rows of ${width} pixels`,
        remedy: 'Ask for a larger result, or cut the picture into parts.',
      });
    }
    const fresh = count * width * 4 <= OWN_BYTES;
    using source = Tensor.empty(gpu, [count, width], { dtype: 'u32', label: 'picture', fresh });
    gpu.upload(
      source.buffer,
      picture.data.subarray(from * width * 4, (from + count) * width * 4) as Uint8Array<ArrayBuffer>,
    );
    each({ first, rows, sourceRow: from, source });
  }
}
