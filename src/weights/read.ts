import { weightsProblem } from './byte_reader.js';
import { isZip, readPytorch } from './pytorch.js';
import { readSafetensors } from './safetensors.js';
import type { StateDict } from './state.js';
import { withoutBookkeeping } from './state.js';

/**
 * Reads a weights file of any known format, told by its first bytes: safetensors, or either format of torch.save. A prefix
 * `module.` is stripped and `num_batches_tracked` left out. `source` names the file in errors. Throws WeightsError for
 * anything else, saying what the file looks like.
 */
export async function readWeights(bytes: Uint8Array, source: string): Promise<StateDict> {
  if (isZip(bytes) || isPickle(bytes)) return readPytorch(bytes, source);
  if (isSafetensors(bytes)) return withoutBookkeeping(readSafetensors(bytes, source).tensors, source);
  const { what, remedy } = appearance(bytes);
  throw weightsProblem(source, 'a safetensors or PyTorch file', what, remedy);
}

/** A pickle of protocol 2 to 5, or the number that torch.save starts with in the text of protocol 1. */
function isPickle(bytes: Uint8Array): boolean {
  const binary = bytes[0] === 0x80 && bytes[1] !== undefined && bytes[1] >= 2 && bytes[1] <= 5;
  return binary || String.fromCharCode(...bytes.subarray(0, 8)) === 'L1195470';
}

/** A JSON object after eight bytes of length; the upper three of these are zero in any file under a terabyte. */
function isSafetensors(bytes: Uint8Array): boolean {
  return bytes[8] === 0x7b && bytes[5] === 0 && bytes[6] === 0 && bytes[7] === 0;
}

interface Appearance {
  readonly what: string;
  readonly remedy: string;
}

const CONVERT = 'Give the file that torch.save or safetensors wrote.';
const FETCH = 'Fetch the file itself: the address may need a login, or be that of a page about it.';

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

/** What an unreadable file looks like, and what to do then. */
function appearance(bytes: Uint8Array): Appearance {
  if (bytes.length === 0) return { what: 'an empty file', remedy: FETCH };
  const start = Array.from(bytes.subarray(0, 512), (byte) => String.fromCharCode(byte)).join('');
  if (start.startsWith('version https://git-lfs')) {
    return { what: 'a Git LFS pointer', remedy: 'Run "git lfs pull" to fetch the file that it points to.' };
  }
  const text = start
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart()
    .toLowerCase();
  if (/^<(!doctype html|html|head|body)/.test(text)) return { what: 'an HTML page', remedy: FETCH };
  if (/^<(\?xml|error)/.test(text)) return { what: 'an XML document', remedy: FETCH };
  for (const [offset, signature, what] of SIGNATURES) {
    if (start.startsWith(signature, offset)) return { what, remedy: CONVERT };
  }
  // A protocol buffer that starts with its version, then its producer's name.
  if (/^\x08[\x01-\x20]\x12.(pytorch|onnx|tf2onnx|keras2onnx|backend-test)/s.test(start)) {
    return { what: 'an ONNX model', remedy: CONVERT };
  }
  if (/^[[{]/.test(text)) return { what: 'a JSON document', remedy: FETCH };
  const head = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return { what: `${bytes.length} bytes that start with ${head}`, remedy: CONVERT };
}
