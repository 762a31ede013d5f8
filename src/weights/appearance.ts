/** What the bytes of a file look like that is not what was asked for, and what to do then. */
export interface Appearance {
  readonly what: string;
  readonly remedy: string;
}

const CONVERT = 'Give the file that torch.save or safetensors wrote.';
const FETCH = 'Fetch the file itself: the address may need a login, or be of a page about it.';

/** First bytes (as Latin-1 text, where they start) of files that are given by mistake. */
const SIGNATURES: readonly (readonly [offset: number, start: string, what: string])[] = [
  [0, '\xff\xd8\xff', 'a JPEG picture'],
  [0, '\x89PNG\r\n', 'a PNG picture'],
  [0, 'GIF8', 'a GIF picture'],
  [8, 'WEBP', 'a WebP picture'],
  [0, '%PDF', 'a PDF document'],
  [0, '\x1f\x8b', 'a gzip archive'],
  [0, '7z\xbc\xaf', 'a 7z archive'],
  [0, 'BZh', 'a bzip2 archive'],
  [0, '\xfd7zXZ', 'an xz archive'],
  [257, 'ustar', 'a tar archive'],
  [0, '\x89HDF\r\n', 'an HDF5 (Keras) file'],
  [4, 'TFL3', 'a TensorFlow Lite model'],
  [0, 'GGUF', 'a GGUF model'],
  [0, '\x93NUMPY', 'a NumPy array'],
  [0, '\x7fELF', 'a program'],
];

/** Enough to tell every kind of file by. */
const HEAD_BYTES = 512;

/** True where the bytes start as a zip archive does, even an empty one. */
export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5) && bytes[3] === bytes[2] + 1;
}

/** What an unreadable file looks like, and what to do then. */
export function appearanceOf(bytes: Uint8Array): Appearance {
  const known = mistakenFor(bytes);
  if (known) return known;
  const head = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return { what: `${bytes.length} bytes that start with ${head}`, remedy: CONVERT };
}

/** The kind of file that these bytes are instead of weights, or undefined where they start like none that is known. */
export function mistakenFor(bytes: Uint8Array): Appearance | undefined {
  if (bytes.length === 0) return { what: 'an empty file', remedy: FETCH };
  const start = Array.from(bytes.subarray(0, HEAD_BYTES), (byte) => String.fromCharCode(byte)).join('');
  if (start.startsWith('version https://git-lfs')) {
    const remedy = 'Run "git lfs pull" in its repository, or download the file that it points to.';
    return { what: 'a Git LFS pointer', remedy };
  }
  const text = start
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart()
    .toLowerCase();
  if (/^<(!doctype html|html|head|body|!--|script|meta|title)/.test(text)) {
    return { what: 'an HTML page', remedy: FETCH };
  }
  if (/^<(\?xml|error)/.test(text)) return { what: 'an XML document', remedy: FETCH };
  for (const [offset, signature, what] of SIGNATURES) {
    if (start.startsWith(signature, offset)) return { what, remedy: CONVERT };
  }
  // A protocol buffer that starts with its version, then its producer's name.
  if (/^\x08[\x01-\x20]\x12.(pytorch|onnx|tf2onnx|keras2onnx|backend-test)/s.test(start)) {
    return { what: 'an ONNX model', remedy: CONVERT };
  }
  if (/^[[{]/.test(text)) return { what: 'a JSON document', remedy: FETCH };
  return undefined;
}
