// Stands in the place of uvu where only some tests of a file are wanted: those whose names begin with RETINAFACE_TEST.
import { test as every } from 'uvu';

const beginning = process.env.RETINAFACE_TEST ?? '';

function add(name, handler) {
  if (!name.startsWith(beginning)) return;
  every(name, async () => {
    try {
      await handler();
    } catch (error) {
      // uvu prints the words of an error, not its kind: an assertion must be told from a crash.
      console.log(error.code ?? String(error));
      throw error;
    }
  });
}

const skip = (name) => {
  if (name.startsWith(beginning)) every.skip(name);
};

export const test = Object.assign(add, every, { skip });
