import assert from 'node:assert/strict';
import { test } from 'uvu';
import { fnv1a32, holdoutPlace, isHeldOut } from '../../src/data/holdout.js';

test("hashes are those of FNV's own test vectors", () => {
  assert.equal(fnv1a32(''), 0x811c9dc5);
  assert.equal(fnv1a32('a'), 0xe40c292c);
  assert.equal(fnv1a32('foobar'), 0xbf9cf968);
});

test('names are hashed by their UTF-8 bytes', () => {
  const bytes = [...Buffer.from('Gesichter/ä.jpg')];
  const expected = bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5) >>> 0;
  assert.equal(fnv1a32('Gesichter/ä.jpg'), expected);
});

test('a share of the names is held out, and a larger one holds the same and more', () => {
  const names = Array.from({ length: 4000 }, (_, i) => `0--Parade/0_Parade_Parade_0_${i}.jpg`);
  const fifth = names.filter((name) => isHeldOut(name, 0.2));
  // Three deviations of a binomial distribution.
  assert.ok(Math.abs(fifth.length - 800) < 3 * Math.sqrt(4000 * 0.2 * 0.8), String(fifth.length));
  assert.ok(fifth.every((name) => isHeldOut(name, 0.3)));
  assert.ok(names.every((name) => !isHeldOut(name, 0) && holdoutPlace(name) < 1));
});

test('where a picture stands never changes', () => {
  // What is held out of runs that began before is held out of them to their end.
  assert.equal(holdoutPlace('0--Parade/0_Parade_Parade_0_102.jpg') * 2 ** 32, 2_517_161_843);
  assert.equal(holdoutPlace('0--Parade/0_Parade_Parade_0_247.jpg') * 2 ** 32, 375_054_993);
});

test.run();
