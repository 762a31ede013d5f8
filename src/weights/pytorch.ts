import { isZip } from './appearance.js';
import { ByteReader, weightsProblem } from './byte_reader.js';
import { bytesPerElement, gatherElements } from './elements.js';
import type { PickleDict, PickleValue, StorageReference, TensorReference } from './pickle.js';
import { unpickle } from './pickle.js';
import type { StateDict, StateTensor } from './state.js';
import { elementCount, isBookkeeping, withoutBookkeeping } from './state.js';
import { ZipReader } from './zip.js';

/** What torch.save writes first in the format from before PyTorch 1.6. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;
/** Where training scripts put a state_dict beside the epoch and the optimiser, the likeliest first. */
const NESTED_NAMES = ['state_dict', 'model_state_dict', 'model', 'net', 'weights'];
const MAX_NESTING = 3;
/**
 * Float32 output may take this many times the bytes read: 4 for 8-bit elements, and as much again for views that share a
 * storage. Without a bound a small file of many overlapping views could fill all memory.
 */
const MAX_EXPANSION = 8;
const STATE_DICT_ONLY = 'Save the weights alone, with torch.save(model.state_dict(), path).';

/** A file's object and the bytes of the storages that it refers to. */
interface Archive {
  readonly root: PickleValue;
  readonly storage: (reference: StorageReference) => Promise<Uint8Array>;
  readonly bytesRead: () => number;
}

/**
 * Reads the state_dict of a file written by torch.save: the zip format of PyTorch 1.6 and later, or the older sequence of
 * pickles and raw storages. Nothing in the file is executed. The state_dict may be the file's object or lie in a dictionary
 * beside other things; a prefix `module.` is stripped and `num_batches_tracked` left out; every element type becomes float32.
 * Throws WeightsError, naming `source`, for damage, for anything but plain data, and for big-endian files.
 */
export async function readPytorch(bytes: Uint8Array, source: string): Promise<StateDict> {
  const archive = isZip(bytes) ? await openZip(bytes, source) : openLegacy(bytes, source);
  const tensors = new Map<string, StateTensor>();
  const views = new Map<string, StateTensor>();
  let expanded = 0;
  for (const [name, reference] of findStateDict(archive.root, source)) {
    if (isBookkeeping(name)) continue;
    const { storage, offset, shape, strides } = reference;
    const view = [storage.key, storage.start, offset, shape, strides].join(';');
    let tensor = views.get(view);
    if (tensor === undefined) {
      expanded += 4 * checkView(name, reference, source);
      const content = await archive.storage(storage);
      const limit = MAX_EXPANSION * archive.bytesRead();
      if (expanded > limit) {
        throw weightsProblem(source, `at most ${limit} bytes of tensors`, `more at ${name}`, STATE_DICT_ONLY);
      }
      const first = storage.start + offset;
      tensor = { shape, data: gatherElements(content, storage.type, { offset: first, shape, strides }) };
      views.set(view, tensor);
    }
    tensors.set(name, tensor);
  }
  return withoutBookkeeping(tensors, source);
}

async function openZip(bytes: Uint8Array, source: string): Promise<Archive> {
  const zip = new ZipReader(bytes, source);
  const [pickle, ...others] = [...zip.entries.values()].filter(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickle === undefined || others.length > 0) {
    const names = [...zip.entries.keys()].slice(0, 3).join(', ') || 'no files';
    throw weightsProblem(
      source,
      'an archive of torch.save, with one data.pkl',
      `an archive of ${names}`,
      STATE_DICT_ONLY,
    );
  }
  const folder = pickle.name.slice(0, -'data.pkl'.length);
  if (zip.entries.has(`${folder}constants.pkl`)) {
    throw weightsProblem(source, 'an archive of torch.save', 'a TorchScript program', STATE_DICT_ONLY);
  }
  const byteOrder = zip.entries.get(`${folder}byteorder`);
  if (byteOrder !== undefined) {
    const order = new TextDecoder().decode(await zip.read(byteOrder));
    if (order !== 'little') throw bigEndian(source, order);
  }
  const reader = new ByteReader(await zip.read(pickle), `${source} (${pickle.name})`);
  const root = unpickle(reader);
  const contents = new Map<string, Uint8Array>();
  return {
    root,
    storage: async (reference) => {
      const name = `${folder}data/${reference.key}`;
      let content = contents.get(name);
      if (content === undefined) {
        const entry = zip.entries.get(name);
        if (entry === undefined) throw weightsProblem(source, `the storage ${name}`, 'none in the archive');
        content = await zip.read(entry);
        contents.set(name, content);
      }
      checkStorage(reference, content.length, source);
      return content;
    },
    bytesRead: () => bytes.length + zip.inflatedBytes,
  };
}

function openLegacy(bytes: Uint8Array, source: string): Archive {
  const reader = new ByteReader(bytes, source);
  const magic = unpickle(reader);
  if (magic !== LEGACY_MAGIC) {
    throw weightsProblem(source, "torch.save's number at the start", 'a pickle of something else', STATE_DICT_ONLY);
  }
  const protocol = unpickle(reader);
  if (protocol !== LEGACY_PROTOCOL) {
    throw weightsProblem(source, `version ${LEGACY_PROTOCOL} of the format`, 'another', STATE_DICT_ONLY);
  }
  const system = unpickle(reader);
  const little = isDict(system) ? system.entries.get('little_endian') : undefined;
  if (little !== true) throw bigEndian(source, little === false ? 'big' : 'none');
  const root = unpickle(reader);

  // Storages lie in the order of their keys, and only the references to them know their element types.
  const keys = unpickle(reader);
  if (!isSequence(keys)) throw weightsProblem(source, 'the list of storage keys', 'something else');
  const references = storagesOf(root, source);
  const contents = new Map<string, Uint8Array>();
  for (const key of keys.items) {
    const reference = typeof key === 'string' ? references.get(key) : undefined;
    if (reference === undefined || contents.has(reference.key)) {
      const got = typeof key === 'string' ? `the key ${key.slice(0, 40)}` : 'something else';
      throw weightsProblem(source, 'the keys of the storages in use, each once', got);
    }
    const elements = reader.u64();
    if (elements !== reference.elements) {
      throw weightsProblem(source, `storage ${reference.key} of ${reference.elements} elements`, `${elements}`);
    }
    contents.set(reference.key, reader.take(elements * bytesPerElement(reference.type)));
  }
  return {
    root,
    storage: (reference) => {
      const content = contents.get(reference.key);
      if (content === undefined) throw weightsProblem(source, `the storage ${reference.key}`, 'none in the file');
      checkStorage(reference, content.length, source);
      return Promise.resolve(content);
    },
    bytesRead: () => bytes.length,
  };
}

/** Every storage that a value refers to, however deep; by its key. Each value is visited once, so that cycles end. */
function storagesOf(root: PickleValue, source: string): Map<string, StorageReference> {
  const storages = new Map<string, StorageReference>();
  const seen = new Set<PickleValue>();
  const pending: PickleValue[] = [root];
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (typeof value !== 'object' || value === null || seen.has(value)) continue;
    seen.add(value);
    if (isDict(value)) for (const item of value.entries.values()) pending.push(item);
    else if (isSequence(value)) for (const item of value.items) pending.push(item);
    else if (value.kind === 'tensor') pending.push(value.storage);
    else if (value.kind === 'storage') {
      const known = storages.get(value.key) ?? value;
      if (known.type !== value.type || known.elements !== value.elements) {
        throw weightsProblem(source, `one type and size of storage ${value.key}`, 'several');
      }
      storages.set(value.key, known);
    }
  }
  return storages;
}

/**
 * The dictionary of tensors: one under a customary name, or else the one that holds the most tensors by name. An optimiser's
 * own tensors lie deeper, a few to a dictionary.
 */
function findStateDict(root: PickleValue, source: string): [string, TensorReference][] {
  if (isDict(root)) {
    for (const name of NESTED_NAMES) {
      const tensors = tensorsOf(root.entries.get(name));
      if (tensors.length > 0) return tensors;
    }
  }
  let best: [string, TensorReference][] = [];
  let level = [root];
  const seen = new Set<PickleValue>();
  for (let depth = 0; depth < MAX_NESTING; depth++) {
    const next: PickleValue[] = [];
    for (const value of level) {
      if (!isDict(value) || seen.has(value)) continue;
      seen.add(value);
      const tensors = tensorsOf(value);
      if (tensors.length > best.length) best = tensors;
      for (const item of value.entries.values()) next.push(item);
    }
    level = next;
  }
  if (best.length > 0) return best;
  throw weightsProblem(source, 'a dictionary of tensors by name', 'none', STATE_DICT_ONLY);
}

function tensorsOf(value: PickleValue | undefined): [string, TensorReference][] {
  const tensors: [string, TensorReference][] = [];
  if (!isDict(value)) return tensors;
  for (const [name, item] of value.entries) {
    if (typeof name === 'string' && typeof item === 'object' && item?.kind === 'tensor') tensors.push([name, item]);
  }
  return tensors;
}

/** The number of elements of a tensor, which must all lie inside its storage and be no more than it has. */
function checkView(name: string, { storage, offset, shape, strides }: TensorReference, source: string): number {
  const count = elementCount(shape);
  const last = shape.reduce((sum, extent, axis) => sum + (extent - 1) * strides[axis]!, offset);
  if (count === undefined || count > storage.length || (count > 0 && last >= storage.length)) {
    const view = `[${shape.join(', ')}] with strides [${strides.join(', ')}] from element ${offset}`;
    throw weightsProblem(source, `tensor ${name} inside its storage of ${storage.length} elements`, view);
  }
  return count;
}

function checkStorage(reference: StorageReference, bytes: number, source: string): void {
  const needed = reference.elements * bytesPerElement(reference.type);
  if (bytes !== needed) {
    const expected = `${needed} bytes for storage ${reference.key} (${reference.elements} of ${reference.type})`;
    throw weightsProblem(source, expected, `${bytes}`);
  }
}

function bigEndian(source: string, order: string): Error {
  const remedy = 'Load it with PyTorch on a little-endian machine and save it again.';
  return weightsProblem(source, 'little-endian data', `byte order "${order.slice(0, 20)}"`, remedy);
}

function isDict(value: PickleValue | undefined): value is PickleDict {
  return typeof value === 'object' && value?.kind === 'dict';
}

function isSequence(value: PickleValue): value is Extract<PickleValue, { items: unknown }> {
  return typeof value === 'object' && (value?.kind === 'list' || value?.kind === 'tuple');
}
