// Loaded before a program: files are written as a slow disk writes them, in pieces with time in between, so that a process which
// is killed meanwhile leaves halves of them.
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

const PIECES = 6;
const MILLISECONDS = 4;

/** `flag`: how the file is opened. */
const inPieces = (write, flag) => async (path, data, options) => {
  if (typeof path !== 'string' || !(typeof data === 'string' || ArrayBuffer.isView(data))) {
    return write(path, data, options);
  }
  const bytes = Buffer.from(data);
  const file = await fs.open(path, flag);
  try {
    for (let piece = 0; piece < PIECES; piece++) {
      const [from, to] = [piece, piece + 1].map((at) => Math.round((at / PIECES) * bytes.length));
      if (to > from) await file.write(bytes, from, to - from);
      await sleep(MILLISECONDS);
    }
  } finally {
    await file.close();
  }
};

fs.writeFile = inPieces(fs.writeFile, 'w');
fs.appendFile = inPieces(fs.appendFile, 'a');
syncBuiltinESMExports();
