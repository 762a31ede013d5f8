import assert from 'node:assert/strict';
import { test } from 'uvu';
import { paper } from '../../src/image/chart.js';
import { drawText, drawTextUpwards, TEXT_HEIGHT, textWidth } from '../../src/image/text.js';
import type { Picture } from '../../src/image/picture.js';

/** The rows of a picture: `#` where it is dark. */
const rowsOf = ({ data, width, height }: Picture) =>
  Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => (data[4 * (y * width + x)]! < 128 ? '#' : '.')).join(''),
  );

test('letters stand on one line, and some reach below it', () => {
  const canvas = paper(textWidth('Ag1'), 9);
  drawText(canvas, 'Ag1', 0, 0, [0, 0, 0]);
  assert.deepEqual(rowsOf(canvas), [
    '.###..........#..',
    '#...#........##..',
    '#...#..####...#..',
    '#####.#...#...#..',
    '#...#.#...#...#..',
    '#...#.#...#...#..',
    '#...#..####..###.',
    '..........#......',
    '.......###.......',
  ]);
});

test('text grows by its scale, and what lies outside the picture is cut off', () => {
  const canvas = paper(10, 8);
  drawText(canvas, 'II', 3, -2, [0, 0, 0], 2);
  assert.deepEqual(rowsOf(canvas).slice(0, 4), ['.......##.', '.......##.', '.......##.', '.......##.']);
  assert.equal(textWidth('II', 2), 22);
  assert.equal(textWidth(''), 0);
});

test('text turned upwards is read from below', () => {
  const canvas = paper(7, 12);
  drawTextUpwards(canvas, 'T1', 0, 11, [0, 0, 0]);
  assert.deepEqual(rowsOf(canvas), [
    '.......',
    '......#',
    '#######',
    '.#....#',
    '.......',
    '.......',
    '#......',
    '#......',
    '#######',
    '#......',
    '#......',
    '.......',
  ]);
});

test('every printable character that charts use has a shape of its own; others are an empty box', () => {
  const shapes = new Map<string, string>();
  const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789' + ".,:-_+=/%()[]<>*!?'×~±–;≥& é";
  for (const character of characters) {
    const canvas = paper(5, TEXT_HEIGHT + 2);
    drawText(canvas, character, 0, 0, [0, 0, 0]);
    const shape = rowsOf(canvas).join('\n');
    assert.equal(shapes.get(shape), undefined, `${character} looks like ${shapes.get(shape)}`);
    shapes.set(shape, character);
  }
  assert.equal(shapes.get(['#####', ...Array<string>(5).fill('#...#'), '#####', '.....', '.....'].join('\n')), 'é');
});

test.run();
