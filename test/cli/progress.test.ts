// How far work on pictures is, as a user reads it.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Progress, progressText } from '../../src/cli/progress.js';

test('rate and time left are of the pictures of this process', () => {
  assert.equal(
    progressText({ total: 3226, done: 3001, kept: 3000, seconds: 2 }),
    '3,001/3,226 (3,000 kept)  0.5 pictures/s  7 min 30 s left',
  );
  assert.equal(progressText({ total: 30, done: 20, kept: 0, seconds: 4 }), '20/30  5.0 pictures/s  2 s left');
});

test('without a picture of this process there is no rate', () => {
  assert.equal(progressText({ total: 30, done: 20, kept: 20, seconds: 4 }), '20/30 (20 kept)');
  assert.equal(progressText({ total: 30, done: 0, kept: 0, seconds: 0 }), '0/30');
  assert.equal(progressText({ total: 30, done: 1, kept: 0, seconds: 0 }), '1/30');
});

/** What a search of 100 pictures, 40 of them kept and then one a second, writes to stderr in 25 seconds. */
function written(context: TestContext, terminal: boolean, quiet: boolean): string[] {
  const before = Object.getOwnPropertyDescriptor(process.stderr, 'isTTY');
  Object.defineProperty(process.stderr, 'isTTY', { value: terminal, configurable: true });
  let now = 5000;
  const clock = context.mock.method(performance, 'now', () => now);
  const lines: string[] = [];
  const write = context.mock.method(process.stderr, 'write', (text: string) => lines.push(text) > 0);
  try {
    const progress = new Progress(100, quiet);
    for (let i = 0; i < 25; i++) {
      now += 1000;
      progress.advance(i === 0 ? 41 : 1, i === 0 ? 40 : 0);
    }
    progress.end();
  } finally {
    clock.mock.restore();
    write.mock.restore();
    if (before) Object.defineProperty(process.stderr, 'isTTY', before);
    else delete (process.stderr as { isTTY?: boolean }).isTTY;
  }
  return lines;
}

test('where stderr is no terminal, a plain line comes every ten seconds, and none with --quiet', (context) => {
  assert.deepEqual(written(context, false, false), [
    '50/100 (40 kept)  1.0 pictures/s  50 s left\n',
    '60/100 (40 kept)  1.0 pictures/s  40 s left\n',
  ]);
  assert.deepEqual(written(context, false, true), []);
});

test('a terminal has one line that is written over and taken away', (context) => {
  const lines = written(context, true, false);
  assert.equal(lines.length, 26);
  assert.match(lines[0]!, /^\r█{10}░{14} 41\/100 \(40 kept\) {2}1\.0 pictures\/s {2}59 s left /);
  assert.equal(lines.at(-1), '\r\x1b[K');
  assert.deepEqual(written(context, true, true), []);
});
