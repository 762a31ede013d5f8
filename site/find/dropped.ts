// What people drop, paste or choose: pictures, folders of them, and weights.

/** Files by what they are. */
export interface Sorted {
  readonly pictures: readonly File[];
  readonly weights: readonly File[];
  readonly others: readonly File[];
}

/** Browsers tell no type for some; what one cannot decode is said when it is opened. */
const PICTURE = /\.(jpe?g|png|webp|avif|gif|bmp|heic|heif|svg)$/i;
const WEIGHTS = /\.(safetensors|pth?|tar|bin|ckpt)$/i;

/** Pictures of folders are taken up to so many. */
const MOST = 500;

export function sorted(files: readonly File[]): Sorted {
  const isPicture = ({ type, name }: File): boolean => type.startsWith('image/') || PICTURE.test(name);
  const rest = files.filter((file) => !isPicture(file));
  return {
    pictures: files.filter(isPicture),
    weights: rest.filter(({ name }) => WEIGHTS.test(name)),
    others: rest.filter(({ name }) => !WEIGHTS.test(name)),
  };
}

/**
 * The files that were dropped, those in folders too, as far as they are pictures; undefined where something else was, as text. To be
 * called while the drop is told.
 */
export async function droppedFiles(transfer: DataTransfer): Promise<File[] | undefined> {
  const folders: FileSystemDirectoryEntry[] = [];
  const files: File[] = [];
  for (const item of transfer.items) {
    const entry = item.kind === 'file' ? item.webkitGetAsEntry() : null;
    const file = item.getAsFile();
    if (entry?.isDirectory) folders.push(entry as FileSystemDirectoryEntry);
    else if (file) files.push(file);
  }
  if (files.length === 0 && folders.length === 0) return undefined;
  for (const folder of folders) {
    for await (const file of filesIn(folder)) {
      if (sorted([file]).pictures.length > 0) files.push(file);
      if (files.length >= MOST) return files;
    }
  }
  return files;
}

/** All files below a folder, by name. */
async function* filesIn(folder: FileSystemDirectoryEntry): AsyncGenerator<File> {
  const reader = folder.createReader();
  const entries: FileSystemEntry[] = [];
  // It answers a hundred at a time, and none in the end.
  for (let some = await read(reader); some.length > 0; some = await read(reader)) entries.push(...some);
  for (const entry of entries.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))) {
    if (entry.isDirectory) yield* filesIn(entry as FileSystemDirectoryEntry);
    else {
      yield await new Promise<File>((resolve, reject) => {
        (entry as FileSystemFileEntry).file(resolve, reject);
      });
    }
  }
}

function read(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  return new Promise((resolve, reject) => {
    reader.readEntries(resolve, reject);
  });
}
