import assert from 'node:assert/strict';
import { test } from 'uvu';
import { type Chart, drawChart, formatTick, logTicks, paper, ticks } from '../../src/image/chart.js';
import type { Picture } from '../../src/image/picture.js';

const RED = [255, 0, 0] as const;

/** Pixels of the given redness or more, as [x, y]. */
function red({ data, width, height }: Picture, least = 128): (readonly [number, number])[] {
  const found: (readonly [number, number])[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      if (data[at]! > 250 && data[at + 1]! <= 255 - least && data[at + 2]! <= 255 - least) found.push([x, y]);
    }
  }
  return found;
}

const AREA = { x1: 0, y1: 0, x2: 200, y2: 100 };

function draw(chart: Partial<Chart>): Picture {
  const canvas = paper(200, 100);
  drawChart(canvas, { title: '', lines: [], scale: 1, ...chart }, AREA);
  return canvas;
}

test('ticks are round numbers inside their range', () => {
  assert.deepEqual(ticks([0, 1], 6), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(ticks([0.13, 0.42], 4), [0.2, 0.3, 0.4]);
  assert.deepEqual(ticks([-7, 7], 4), [-5, 0, 5]);
  assert.deepEqual(ticks([1, 12_000], 4), [5000, 10_000]);
  assert.deepEqual(ticks([1, 3], 10, 1), [1, 2, 3]);
  assert.deepEqual(ticks([4, 4], 10), [4]);
  assert.deepEqual(ticks([3 - 2 ** -51, 3], 10), [3 - 2 ** -51]);
  for (let most = 2; most < 12; most++) assert.ok(ticks([0.3, 71], most).length <= most);
});

test('logarithmic ticks are 1, 2 and 5, or powers alone where the range is wide', () => {
  assert.deepEqual(logTicks([0.09, 6], 9), [0.1, 0.2, 0.5, 1, 2, 5]);
  assert.deepEqual(logTicks([1e-4, 1], 5), [1e-4, 1e-3, 0.01, 0.1, 1]);
  assert.deepEqual(logTicks([1e-9, 1], 4), [1e-9, 1e-6, 1e-3, 1]);
  assert.deepEqual(logTicks([0, 1], 4), []);
  // Less than two of them: as on a plain axis.
  assert.deepEqual(logTicks([2.1, 3.9], 5), [2.5, 3, 3.5]);
});

test('ticks are written short', () => {
  const numbers = [0, 0.05, 0.30000000000000004, 1e-4, 5e-5, -250, 9999, 25_000, 1_500_000];
  assert.deepEqual(numbers.map(formatTick), ['0', '0.05', '0.3', '0.0001', '5e-5', '-250', '9999', '25k', '1.5M']);
});

test('a line runs from corner to corner of its ranges and stays inside the frame', () => {
  const line = { colour: RED, points: [[0, 0] as const, [10, 5] as const] };
  const marked = red(draw({ lines: [line], xRange: [0, 10], yRange: [0, 5] }));
  const xs = marked.map(([x]) => x);
  const ys = marked.map(([, y]) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  assert.ok(right >= 191 && right < 193 && top >= 14 && top <= 15 && bottom >= 84 && bottom < 86);
  for (const [x, y] of marked) {
    const expected = bottom - ((x - left) / (right - left)) * (bottom - top);
    assert.ok(Math.abs(y - expected) <= 1.5, `${x}, ${y}`);
  }
});

test('equal factors are equal distances on a logarithmic axis', () => {
  const points = [1, 10, 100].map((y, x) => [x, y] as const);
  const lines = [{ colour: RED, points: points.flatMap((point) => [point, [NaN, NaN] as const]) }];
  const marked = red(draw({ lines, logarithmic: true, xRange: [-1, 3] }));
  const centres = [0, 1, 2].map((k) => {
    const third = marked.filter(([, y]) => Math.floor((y - 14) / 24) === 2 - k).map(([, y]) => y);
    return third.reduce((sum, y) => sum + y, 0) / third.length;
  });
  assert.ok(Math.abs(centres[0]! - centres[1]! - (centres[1]! - centres[2]!)) <= 1, centres.join(' '));
});

test('a line is broken where a number is missing, and its single points are dots', () => {
  const lines = [{ colour: RED, points: [[0, 1] as const, [5, NaN] as const, [10, 1] as const] }];
  const xs = red(draw({ lines, xRange: [-5, 15], yRange: [0, 2] })).map(([x]) => x);
  assert.ok(xs.length > 0);
  const [least, greatest] = [Math.min(...xs), Math.max(...xs)];
  assert.ok(greatest - least > 60);
  assert.ok(xs.every((x) => x < least + 6 || x > greatest - 6));
});

test('a faint line is cut off where the others end, and crossing itself it is not darker', () => {
  const flat = { colour: [0, 0, 255] as const, points: [[0, 1] as const, [10, 1.1] as const] };
  const wild = { colour: RED, opacity: 0.25, points: [0, 1, 2, 3, 4, 5].map((x) => [x, x % 2 ? 50 : -50] as const) };
  const canvas = draw({ lines: [wild, flat] });
  const marked = red(canvas, 20);
  assert.ok(marked.length > 0);
  assert.ok(marked.every(([, y]) => y >= 14 && y < 86));
  // A quarter of red on white leaves three quarters of the green.
  for (const [x, y] of marked) assert.ok(canvas.data[4 * (y * 200 + x) + 1]! >= 255 * 0.74 - 30, `${x}, ${y}`);
});

test('the legend stands where the lines do not', () => {
  const rising = { name: 'up', colour: RED, points: [[0, 0] as const, [1, 1] as const] };
  const swatch = (canvas: Picture) => {
    // The only rows with a run of 10 red pixels.
    const marked = new Set(red(canvas, 200).map(([x, y]) => `${x},${y}`));
    for (let y = 0; y < 100; y++) {
      for (let x = 0; x < 190; x++) {
        if (Array.from({ length: 10 }, (_, k) => marked.has(`${x + k},${y}`)).every(Boolean)) return [x, y] as const;
      }
    }
    return undefined;
  };
  const [left, top] = swatch(draw({ lines: [rising] }))!;
  assert.ok(left < 60 && top < 40, `top left, not ${left}, ${top}`);
  const falling = { ...rising, points: [[0, 1] as const, [1, 0] as const] };
  const [x, high] = swatch(draw({ lines: [falling] }))!;
  assert.ok(high < 40 && x > 120, `top right, not ${x}, ${high}`);
});

test('charts without lines, of one point and without room are drawn without harm', () => {
  for (const lines of [[], [{ colour: RED, points: [] }], [{ colour: RED, points: [[3, 0] as const] }]]) {
    for (const logarithmic of [false, true]) draw({ lines, logarithmic, title: 'nothing', xLabel: 'steps' });
  }
  const canvas = paper(4, 4);
  drawChart(canvas, { title: 'x', lines: [] }, { x1: 0, y1: 0, x2: 4, y2: 4 });
  assert.ok(red(draw({ lines: [{ colour: RED, points: [[3, 0] as const] }] })).length > 0);
});

test.run();
