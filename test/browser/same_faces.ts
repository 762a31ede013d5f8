import assert from 'node:assert/strict';
import type { Face } from '../../src/image/face.js';

/** Asserts that both lists hold the same faces: within a pixel, and 1e-3 of score, in any order. */
export function assertSameFaces(actual: readonly Face[], expected: readonly Face[], what = 'the page'): void {
  const numbers = ({ box, landmarks }: Face): readonly number[] => [
    ...Object.values<number>({ ...box }),
    ...Object.values<{ readonly x: number; readonly y: number }>({ ...landmarks }).flatMap(({ x, y }) => [x, y]),
  ];
  assert.equal(actual.length, expected.length, `number of faces, ${what}`);
  const left = new Set(actual);
  for (const face of expected) {
    const same = [...left].find(
      (other) =>
        Math.abs(other.score - face.score) < 1e-3 &&
        numbers(face).every((value, i) => Math.abs(value - numbers(other)[i]!) < 1),
    );
    assert.ok(same, `${what} has no face ${JSON.stringify(face)}`);
    left.delete(same);
  }
}
