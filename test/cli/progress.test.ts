// How far work on pictures is, as a user reads it.
import assert from 'node:assert/strict';
import { test } from 'uvu';
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

/** Puts a value in the place of another, and answers what puts that back. */
function stand(owner: object, name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(owner, name);
  Object.defineProperty(owner, name, { value, configurable: true, writable: true });
  return () => {
    if (before) Object.defineProperty(owner, name, before);
    else Reflect.deleteProperty(owner, name);
  };
}

/** What a search of 100 pictures, 40 of them kept and then one a second, writes to stderr in 25 seconds. */
function written(terminal: boolean, quiet: boolean): string[] {
  let now = 5000;
  const lines: string[] = [];
  const restore = [
    stand(process.stderr, 'isTTY', terminal),
    stand(process.stderr, 'write', (text: string) => lines.push(text) > 0),
    stand(performance, 'now', () => now),
  ];
  try {
    const progress = new Progress(100, quiet);
    for (let i = 0; i < 25; i++) {
      now += 1000;
      progress.advance(i === 0 ? 41 : 1, i === 0 ? 40 : 0);
    }
    progress.end();
  } finally {
    for (const back of restore) back();
  }
  return lines;
}

test('where stderr is no terminal, a plain line comes every ten seconds, and none with --quiet', () => {
  assert.deepEqual(written(false, false), [
    '50/100 (40 kept)  1.0 pictures/s  50 s left\n',
    '60/100 (40 kept)  1.0 pictures/s  40 s left\n',
  ]);
  assert.deepEqual(written(false, true), []);
});

test('a terminal has one line that is written over and taken away', () => {
  const lines = written(true, false);
  assert.equal(lines.length, 26);
  assert.match(lines[0]!, /^\r█{10}░{14} 41\/100 \(40 kept\) {2}1\.0 pictures\/s {2}59 s left /);
  assert.equal(lines.at(-1), '\r\x1b[K');
  assert.deepEqual(written(true, true), []);
});

test.run();
