import { deflateSync } from 'node:zlib';

/** MATLAB 5 files put together element by element, so that tests can make faulty ones. */

/** One data element: tag, data, padding; small ones (up to four bytes) inside the tag. */
export function element(type: number, data: Uint8Array, { small = false, little = true } = {}): Uint8Array {
  const bytes = new Uint8Array(small ? 8 : 8 + Math.ceil(data.length / 8) * 8);
  const view = new DataView(bytes.buffer);
  if (small) view.setUint32(0, (data.length << 16) | type, little);
  else {
    view.setUint32(0, type, little);
    view.setUint32(4, data.length, little);
  }
  bytes.set(data, small ? 4 : 8);
  return bytes;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function words(values: readonly number[], little = true): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  for (const [i, value] of values.entries()) new DataView(bytes.buffer).setInt32(4 * i, value, little);
  return bytes;
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** A miMATRIX element of some class from the elements that follow its name. */
export function matrix(
  mxClass: number,
  shape: readonly number[],
  rest: readonly Uint8Array[],
  { name = '', flags = 0, little = true } = {},
): Uint8Array {
  const parts = [
    element(6, words([flags | mxClass, 0], little), { little }),
    element(5, words(shape, little), { little }),
    element(1, ascii(name), { small: name.length > 0 && name.length <= 4, little }),
    ...rest,
  ];
  return element(14, concatBytes(...parts), { little });
}

/** A double array whose numbers are stored as the given typed array, as MATLAB shrinks them. */
export function numeric(data: Uint8Array, type: number, shape: readonly number[], name = ''): Uint8Array {
  return matrix(6, shape, [element(type, data, { small: data.length > 0 && data.length <= 4 })], { name });
}

export function doubles(values: readonly number[], shape: readonly number[], name = ''): Uint8Array {
  return numeric(new Uint8Array(Float64Array.from(values).buffer), 9, shape, name);
}

/** Text as two bytes a character. */
export function chars(text: string, name = ''): Uint8Array {
  const bytes = new Uint8Array(Uint16Array.from(text, (character) => character.charCodeAt(0)).buffer);
  return matrix(4, [1, text.length], [element(4, bytes, { small: text.length === 1 })], { name });
}

export function cells(
  items: readonly Uint8Array[],
  name = '',
  shape: readonly number[] = [items.length, 1],
): Uint8Array {
  return matrix(1, shape, items, { name });
}

export function compressed(variable: Uint8Array): Uint8Array {
  const packed = deflateSync(variable);
  // Compressed elements are not padded.
  return concatBytes(words([15, packed.length]), packed);
}

export function matlabFile(variables: readonly Uint8Array[], { little = true, version = 0x0100 } = {}): Uint8Array {
  const header = new Uint8Array(128).fill(32);
  header.set(ascii('MATLAB 5.0 MAT-file'));
  new DataView(header.buffer).setUint16(124, version, little);
  header.set(ascii(little ? 'IM' : 'MI'), 126);
  return concatBytes(header, ...variables);
}
