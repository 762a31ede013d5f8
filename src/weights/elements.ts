/** How one element lies in a file, little-endian. */
export type ElementType =
  'f64' | 'f32' | 'f16' | 'bf16' | 'i64' | 'i32' | 'i16' | 'i8' | 'u64' | 'u32' | 'u16' | 'u8' | 'bool';

interface Element {
  readonly bytes: number;
  readonly read: (view: DataView, offset: number) => number;
}

const ELEMENTS: Readonly<Record<ElementType, Element>> = {
  f64: { bytes: 8, read: (view, offset) => view.getFloat64(offset, true) },
  f32: { bytes: 4, read: (view, offset) => view.getFloat32(offset, true) },
  f16: { bytes: 2, read: (view, offset) => halfToNumber(view.getUint16(offset, true)) },
  bf16: { bytes: 2, read: (view, offset) => bfloatToNumber(view.getUint16(offset, true)) },
  i64: { bytes: 8, read: (view, offset) => Number(view.getBigInt64(offset, true)) },
  i32: { bytes: 4, read: (view, offset) => view.getInt32(offset, true) },
  i16: { bytes: 2, read: (view, offset) => view.getInt16(offset, true) },
  i8: { bytes: 1, read: (view, offset) => view.getInt8(offset) },
  u64: { bytes: 8, read: (view, offset) => Number(view.getBigUint64(offset, true)) },
  u32: { bytes: 4, read: (view, offset) => view.getUint32(offset, true) },
  u16: { bytes: 2, read: (view, offset) => view.getUint16(offset, true) },
  u8: { bytes: 1, read: (view, offset) => view.getUint8(offset) },
  bool: { bytes: 1, read: (view, offset) => (view.getUint8(offset) === 0 ? 0 : 1) },
};

/** The bytes that one element of `type` takes. */
export function bytesPerElement(type: ElementType): number {
  return ELEMENTS[type].bytes;
}

/** The value of an IEEE 754 half with the bit pattern `bits`: 1 sign, 5 exponent (bias 15) and 10 fraction bits. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const bfloat = new DataView(new ArrayBuffer(4));

/** The value of a bfloat16: the upper half of a float32. */
function bfloatToNumber(bits: number): number {
  bfloat.setUint16(0, bits);
  return bfloat.getFloat32(0);
}

/** Which elements of a storage make up a tensor: a first element, and for each axis an extent and a step. */
export interface StridedView {
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/**
 * Copies the elements of `view` out of `bytes`, rounded to float32 and row-major. The caller has made sure that all of them
 * lie inside.
 */
export function gatherElements(bytes: Uint8Array, type: ElementType, view: StridedView): Float32Array {
  const count = view.shape.reduce((product, extent) => product * extent, 1);
  const size = ELEMENTS[type].bytes;
  const data = new Float32Array(count);
  const contiguous = isContiguous(view);
  if (contiguous && type === 'f32') {
    // Every machine that runs WebGPU is little-endian, as the files are. (Not `slice`: a Node Buffer's makes no copy.)
    new Uint8Array(data.buffer).set(bytes.subarray(view.offset * size, (view.offset + count) * size));
    return data;
  }
  const read = ELEMENTS[type].read;
  const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (contiguous) {
    for (let i = 0; i < count; i++) data[i] = read(source, (view.offset + i) * size);
    return data;
  }
  const index = view.shape.map(() => 0);
  let element = view.offset;
  for (let i = 0; i < count; i++) {
    data[i] = read(source, element * size);
    for (let axis = index.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      element += view.strides[axis]!;
      if (index[axis]! < view.shape[axis]!) break;
      element -= view.shape[axis]! * view.strides[axis]!;
      index[axis] = 0;
    }
  }
  return data;
}

/** True where the elements of the view follow one another in row-major order. An axis of extent 1 may have any stride. */
function isContiguous({ shape, strides }: StridedView): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

/** The strides of a row-major tensor of this shape. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}
