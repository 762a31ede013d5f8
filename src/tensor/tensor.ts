import type { DeviceBuffer } from '../gpu/buffers.js';
import { describe } from '../gpu/arguments.js';
import { ArgumentError, DisposedError, ShapeError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import { copyAll } from './copy_rows.js';
import { register } from './scope.js';
import { checkShape, elements, formatShape, type Shape } from './shape.js';

/**
 * Element types, of four bytes each but for `f16`, of two. Networks compute in `f32`, indices and counts are `u32`; what
 * inference alone uses may be kept in `f16`, on devices with the feature `shader-f16`.
 */
export type DType = 'f32' | 'f16' | 'u32' | 'i32';

/** Bytes of so many elements. */
export function bytesOf(count: number, dtype: DType): number {
  return count * (dtype === 'f16' ? 2 : 4);
}

interface DTypeArrays {
  readonly f32: Float32Array<ArrayBuffer>;
  readonly f16: Float32Array<ArrayBuffer>;
  readonly u32: Uint32Array<ArrayBuffer>;
  readonly i32: Int32Array<ArrayBuffer>;
}

const ARRAYS = { f32: Float32Array, f16: Float32Array, u32: Uint32Array, i32: Int32Array } as const;

/** Memory shared by a tensor and its views; freed with the last of them. */
interface Storage {
  readonly gpu: Gpu;
  buffer: DeviceBuffer;
  holders: number;
  /** What `buffer` is a part of, for a tensor that was moved into another. */
  home?: Storage;
}

/** Frees what a storage holds: its own memory, or its claim on the one that it is a part of. */
function free({ gpu, buffer, home }: Storage): void {
  if (!home) gpu.release(buffer);
  else if (--home.holders === 0) free(home);
}

interface TensorParts {
  readonly storage: Storage;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly label: string;
  readonly id: number;
  readonly pitch: number;
  readonly offset: number;
}

/** The type of a tensor with these contents. @throws ArgumentError for what is no list of numbers of four bytes. */
function dtypeOf(operation: string, data: unknown): DType {
  if (Array.isArray(data)) return 'f32';
  for (const dtype of ['f32', 'u32', 'i32'] as const) if (data instanceof ARRAYS[dtype]) return dtype;
  throw new ArgumentError({
    operation,
    expected: 'a Float32Array, Uint32Array, Int32Array, or an array of numbers',
    got: describe(data),
    remedy: ArrayBuffer.isView(data) ? 'Convert it: Float32Array.from(…).' : 'Pass the elements, row-major.',
  });
}

let nextId = 1;

/**
 * A dense array on a device: float32 unless said otherwise, row-major, images as `[n, h, w, c]` (NHWC).
 *
 * Whoever gets a tensor from a function owns it and frees it with `dispose()`, `using` or a `scope`; arguments are only
 * borrowed. Memory goes back to a pool at once, and commands already encoded still see it.
 */
export class Tensor<D extends DType = DType> implements Disposable {
  readonly shape: Shape;
  readonly dtype: D;
  /** What errors call this tensor. */
  readonly label: string;
  /** The same for all handles of one value: what the tape follows. */
  readonly id: number;
  /** Elements between the starts of two neighbours along the last axis but one; more than the last axis in a channel view. */
  readonly pitch: number;
  /** Elements before the first one, in a channel view. */
  readonly offset: number;
  readonly #storage: Storage;
  #disposed = false;

  private constructor(parts: TensorParts & { readonly dtype: D }) {
    this.shape = parts.shape;
    this.dtype = parts.dtype;
    this.label = parts.label;
    this.id = parts.id;
    this.pitch = parts.pitch;
    this.offset = parts.offset;
    this.#storage = parts.storage;
    parts.storage.holders++;
    register(this);
  }

  /**
   * A tensor with the given contents, row-major. `device` is any `GPUDevice`.
   * @throws ShapeError when the data has another number of elements than the shape; ArgumentError for data of another type;
   * LimitError when it does not fit.
   */
  static from(
    device: GPUDevice | Gpu,
    data: Float32Array | readonly number[],
    shape: Shape,
    label?: string,
  ): Tensor<'f32'>;
  static from(device: GPUDevice | Gpu, data: Uint32Array, shape: Shape, label?: string): Tensor<'u32'>;
  static from(device: GPUDevice | Gpu, data: Int32Array, shape: Shape, label?: string): Tensor<'i32'>;
  static from(
    device: GPUDevice | Gpu,
    data: Float32Array | Uint32Array | Int32Array | readonly number[],
    shape: Shape,
    label = 'tensor',
  ): Tensor {
    checkShape(`Tensor.from ${label}`, shape);
    const dtype = dtypeOf(`Tensor.from ${label}`, data);
    if (data.length !== elements(shape)) {
      throw new ShapeError({
        operation: `Tensor.from ${label}`,
        expected: `${elements(shape)} elements for shape ${formatShape(shape)}`,
        got: `${data.length}`,
        remedy: 'Pass as many elements as the product of the shape.',
      });
    }
    // Not one of those that commands to be submitted still use: these would have to be submitted first.
    const tensor = Tensor.#allocate(device, shape, { dtype, label, fresh: true });
    const typed = ArrayBuffer.isView(data) ? data : Float32Array.from(data);
    tensor.gpu.upload(tensor.buffer, typed as Float32Array<ArrayBuffer>);
    return tensor;
  }

  /**
   * A tensor whose contents are undefined until a kernel has written all of them. `fresh`: in memory that no command names
   * which is still to be submitted, so that an upload into it ends no submission.
   */
  static empty<D extends DType = 'f32'>(
    device: GPUDevice | Gpu,
    shape: Shape,
    options: { readonly dtype?: D; readonly label?: string; readonly fresh?: boolean } = {},
  ): Tensor<D> {
    return Tensor.#allocate(device, shape, options);
  }

  static #allocate<D extends DType = 'f32'>(
    device: GPUDevice | Gpu,
    shape: Shape,
    options: { readonly dtype?: D; readonly label?: string; readonly fresh?: boolean },
  ): Tensor<D> {
    const gpu = Gpu.of(device);
    // The caller that names no type gets the default of the type parameter.
    const { label = 'tensor', fresh = false, dtype = 'f32' as D } = options;
    checkShape(`allocate ${label}`, shape);
    const half = dtype === 'f16';
    const buffer = gpu.allocate(bytesOf(elements(shape), dtype), `${label} ${formatShape(shape)}`, { fresh, half });
    return new Tensor({
      storage: { gpu, buffer, holders: 0 },
      shape: [...shape],
      dtype,
      label,
      id: nextId++,
      pitch: shape.at(-1) ?? 1,
      offset: 0,
    });
  }

  static zeros<D extends DType = 'f32'>(
    device: GPUDevice | Gpu,
    shape: Shape,
    options: { readonly dtype?: D; readonly label?: string } = {},
  ): Tensor<D> {
    const tensor = Tensor.empty(device, shape, options);
    tensor.gpu.clear(tensor.buffer);
    return tensor;
  }

  /** A tensor over memory that the caller got from the device and hands over. Not public. */
  static over(
    gpu: Gpu,
    buffer: DeviceBuffer,
    { shape, dtype, label }: { readonly shape: Shape; readonly dtype: DType; readonly label: string },
  ): Tensor {
    const storage = { gpu, buffer, holders: 0 };
    return new Tensor({ storage, shape, dtype, label, id: nextId++, pitch: shape.at(-1) ?? 1, offset: 0 });
  }

  get gpu(): Gpu {
    return this.#storage.gpu;
  }

  get device(): GPUDevice {
    return this.#storage.gpu.device;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Number of elements. */
  get size(): number {
    return elements(this.shape);
  }

  /** True unless this is a view of some channels of a wider tensor. */
  get contiguous(): boolean {
    return this.offset === 0 && this.pitch === (this.shape.at(-1) ?? 1);
  }

  /** The memory behind this tensor, for kernels. @throws DisposedError after `dispose()`. */
  get buffer(): DeviceBuffer {
    this.assertLive();
    return this.#storage.buffer;
  }

  /** Throws a DisposedError that names this tensor after `dispose()`. */
  assertLive(): void {
    if (this.#disposed) {
      throw new DisposedError({
        operation: `use ${this.label} ${formatShape(this.shape)}`,
        expected: 'a live tensor',
        got: 'one that was disposed of',
        remedy: 'Dispose of it after its last use, or take it out of the scope with `keep`.',
      });
    }
  }

  /** Another handle of the same value; the memory lives until both are disposed of. */
  alias(): Tensor<D> {
    return this.#view({});
  }

  /** The same elements under another shape of equal size; shares memory. For gradients use the op `reshape`. */
  view(shape: Shape): Tensor<D> {
    checkShape(`view ${this.label}`, shape);
    if (elements(shape) !== this.size || !this.contiguous) {
      throw new ShapeError({
        operation: `view ${this.label}`,
        expected: `a shape of ${this.size} elements${this.contiguous ? '' : ' of a contiguous tensor'}`,
        got: `${formatShape(shape)}${this.contiguous ? '' : ' of a channel view'}`,
        remedy: 'Keep the number of elements.',
      });
    }
    return this.#view({ shape: [...shape], pitch: shape.at(-1) ?? 1, id: nextId++ });
  }

  /**
   * Channels `start` to `start + count` as a tensor that shares this one's memory, so that a producer writes its part of
   * a concatenation in place. Only kernels that take a pitch can use it.
   */
  channels(start: number, count: number, label = this.label): Tensor<D> {
    const width = this.shape.at(-1) ?? 1;
    if (!(Number.isInteger(start) && start >= 0 && Number.isInteger(count) && count >= 0 && start + count <= width)) {
      throw new ShapeError({
        operation: `channels of ${this.label}`,
        expected: `a range inside 0 to ${width}`,
        got: `${start} to ${start + count}`,
        remedy: 'Stay inside the last axis.',
      });
    }
    return this.#view({
      shape: [...this.shape.slice(0, -1), count],
      offset: this.offset + start,
      label,
      id: nextId++,
    });
  }

  /** All channels of the tensor that this channel view is a part of; shares memory. */
  wholeRows(): Tensor<D> {
    return this.#view({ shape: [...this.shape.slice(0, -1), this.pitch], offset: 0, id: nextId++ });
  }

  /**
   * Some elements of this tensor, from `start` on (a multiple of 256 bytes, the alignment that every device accepts), as a
   * tensor of `shape` that shares its memory. No kernel may read one part and write another.
   * @throws ArgumentError where the part is not aligned or reaches past the end.
   */
  part(start: number, shape: Shape, label = this.label): Tensor<D> {
    const size = elements(shape);
    if (
      !Number.isInteger(bytesOf(start, this.dtype) / 256) ||
      start < 0 ||
      start + size > this.size ||
      !this.contiguous
    ) {
      throw new ArgumentError({
        operation: `part of ${this.label}`,
        expected: `${size} elements from a multiple of 256 bytes on, inside ${this.size} contiguous ones`,
        got: `element ${start}`,
        remedy: 'Lay parts out in steps of 256 bytes, 64 elements of f32.',
      });
    }
    const home = this.#storage;
    const bytes = Math.max(16, Math.ceil(bytesOf(size, this.dtype) / 16) * 16);
    const buffer = home.gpu.part(this.buffer, bytesOf(start, this.dtype), bytes);
    home.holders++;
    return new Tensor({
      storage: { gpu: home.gpu, buffer, holders: 0, home },
      shape: [...shape],
      dtype: this.dtype,
      label,
      id: nextId++,
      pitch: shape.at(-1) ?? 1,
      offset: 0,
    });
  }

  /** True when both are parts of the same memory. */
  sharesMemoryWith(other: Tensor): boolean {
    return this.#storage === other.#storage;
  }

  /**
   * Moves the memory of this tensor, with its contents, into `whole` from element `start` on (a multiple of 64, the
   * alignment that every device accepts): all handles of the tensor live there from then on, and its old memory is given
   * back. `whole` stays alive with the last of them. No kernel may read one part and write another.
   * @throws ArgumentError where the part is not aligned, reaches past the end, or `whole` is of another device.
   */
  moveInto(whole: Tensor<D>, start: number): void {
    const storage = this.#storage;
    const home = whole.#storage;
    const { buffer } = storage;
    const from = bytesOf(start, whole.dtype);
    const room = Number.isInteger(from / 256) && start >= 0 && from + buffer.bytes <= whole.buffer.bytes;
    if (!room || !whole.contiguous || home.gpu !== storage.gpu || home === storage || home === storage.home) {
      throw new ArgumentError({
        operation: `move ${this.label} into ${whole.label}`,
        expected: `another tensor of the same device with room for ${buffer.bytes} bytes from a multiple of 64 elements`,
        got: `${whole.buffer.bytes} bytes and element ${start}`,
        remedy: 'Make the tensor that is moved into larger.',
      });
    }
    // A rehearsal moves nothing.
    if (!home.buffer.gpu) return;
    const part = home.gpu.part(whole.buffer, from, buffer.bytes);
    home.gpu.copy(buffer, part, buffer.bytes);
    free(storage);
    storage.buffer = part;
    storage.home = home;
    home.holders++;
  }

  /** A copy of the contents, row-major, after all work encoded so far: one submission, one wait. */
  async read(): Promise<DTypeArrays[D]> {
    if (!this.contiguous) {
      throw new ArgumentError({
        operation: `read ${this.label}`,
        expected: 'a contiguous tensor',
        got: 'a view of some channels',
        remedy: 'Read the whole tensor that it is a part of.',
      });
    }
    if (this.dtype === 'f16') {
      using wide = Tensor.empty(this.gpu, this.shape, { label: this.label });
      copyAll(this, wide);
      return (await wide.read()) as DTypeArrays[D];
    }
    const bytes = await this.gpu.read(this.buffer, this.size * 4);
    return new ARRAYS[this.dtype](bytes) as DTypeArrays[D];
  }

  /**
   * Replaces the contents. Commands encoded earlier see the old ones.
   * @throws ShapeError for another number of elements; ArgumentError for elements of another type.
   */
  write(data: DTypeArrays[D]): void {
    const { [this.dtype]: type } = ARRAYS;
    if (!(data instanceof type)) {
      throw new ArgumentError({
        operation: `write ${this.label}`,
        expected: `a ${type.name}`,
        got: describe(data),
        remedy: `Convert it: ${type.name}.from(…).`,
      });
    }
    if (data.length !== this.size) {
      throw new ShapeError({
        operation: `write ${this.label}`,
        expected: `${this.size} elements for shape ${formatShape(this.shape)}`,
        got: `${data.length}`,
        remedy: 'Pass as many elements as the tensor has.',
      });
    }
    if (this.dtype === 'f16') {
      using wide = Tensor.from(this.gpu, data as Float32Array, this.shape, this.label);
      copyAll(wide, this);
    } else this.gpu.upload(this.buffer, data);
  }

  /** Frees this handle; a second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (--this.#storage.holders === 0) free(this.#storage);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #view(change: Partial<TensorParts>): Tensor<D> {
    this.assertLive();
    return new Tensor({
      storage: this.#storage,
      shape: this.shape,
      label: this.label,
      id: this.id,
      pitch: this.pitch,
      offset: this.offset,
      ...change,
      dtype: this.dtype,
    });
  }
}
