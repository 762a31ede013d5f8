import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ArgumentError } from '../../src/gpu/errors.js';
import { cosine, multiStep, parseSchedule, type Schedule } from '../../src/train/schedule.js';

/** The rate of an epoch counted from 1, as papers count. */
const inEpoch = (schedule: Schedule, epoch: number) =>
  schedule.rate({ step: 100 * (epoch - 1), epoch: epoch - 1, totalSteps: 6000 });

const atStep = (schedule: Schedule, step: number) => schedule.rate({ step, epoch: 0, totalSteps: 1000 });

test("the report's schedule changes after epochs 27, 39 and 49", () => {
  const report = parseSchedule('report');
  for (const [first, last, rate] of [
    [1, 27, 0.001],
    [28, 39, 0.004],
    [40, 49, 0.001],
    [50, 60, 0.0001],
    [61, 500, 0.0001],
  ] as const) {
    assert.equal(inEpoch(report, first), rate);
    assert.equal(inEpoch(report, last), rate);
  }
});

test("the paper's schedule rises after 5 epochs and falls after 55 and 68", () => {
  const rates = [1, 5, 6, 55, 56, 68, 69, 80].map((epoch) => inEpoch(parseSchedule('paper'), epoch));
  assert.deepEqual(rates, [0.001, 0.001, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001]);
});

test('steps multiply after each milestone, by a tenth or by the factor given', () => {
  const tenth = parseSchedule('step:0.01@100,150');
  assert.deepEqual(
    [1, 100, 101, 150, 151].map((epoch) => Number(inEpoch(tenth, epoch).toPrecision(12))),
    [0.01, 0.01, 0.001, 0.001, 0.0001],
  );
  const half = parseSchedule('step:1@2,4*0.5');
  assert.deepEqual(
    [2, 3, 4, 5].map((epoch) => inEpoch(half, epoch)),
    [1, 0.5, 0.5, 0.25],
  );
});

test('a cosine starts at its rate, is half way in the middle and ends at the last one', () => {
  const down = parseSchedule('cosine:0.01');
  assert.equal(atStep(down, 0), 0.01);
  assert.ok(Math.abs(atStep(down, 500) - 0.005) < 1e-15);
  assert.ok(Math.abs(atStep(down, 1000)) < 1e-15);
  const floor = parseSchedule('cosine:0.01,0.002');
  assert.ok(Math.abs(atStep(floor, 500) - 0.006) < 1e-15);
  assert.equal(atStep(floor, 5000), 0.002);
  assert.equal(cosine(1).rate({ step: 0, epoch: 0, totalSteps: 0 }), 1);
});

test('warm-up rises linearly and then leaves the schedule alone', () => {
  const warm = parseSchedule('constant:0.5+warmup:4');
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 999].map((step) => Number(atStep(warm, step).toPrecision(12))),
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5],
  );
  assert.equal(atStep(parseSchedule('constant:0.5+warmup:0'), 0), 0.5);
  const report = parseSchedule('report+warmup:9');
  assert.ok(Math.abs(atStep(report, 4) - 0.0005) < 1e-15);
  assert.equal(inEpoch(report, 30), 0.004);
});

test('a piecewise schedule holds each rate from its epoch on', () => {
  const pieces = parseSchedule('piecewise:0.001,0.01@5,1e-4@55');
  assert.deepEqual(
    [1, 5, 6, 55, 56].map((epoch) => inEpoch(pieces, epoch)),
    [0.001, 0.001, 0.01, 0.01, 0.0001],
  );
});

test('the text of a schedule makes the same schedule', () => {
  const texts = [
    'report',
    'paper+warmup:20',
    'constant:0.01',
    'step:0.01@100,150',
    'step:0.01@100*0.5+warmup:3',
    'cosine:0.01',
    'cosine:0.01,0.0001',
    'piecewise:0.001,0.01@5,0.0001@55',
  ];
  for (const text of texts) assert.equal(parseSchedule(text).text, text);
  assert.equal(multiStep(0.01, [5]).text, 'step:0.01@5');
});

test('a text that is no schedule is refused with what is wrong', () => {
  const wrong: Readonly<Record<string, RegExp>> = {
    '': /got nothing/,
    fast: /report, paper, constant:RATE/,
    'constant:': /a number of 0 or more, got nothing/,
    'constant:-1': /a number of 0 or more, got -1/,
    'constant:0,1': /got 0,1/,
    'constant:Infinity': /got Infinity/,
    'step:0.01': /step:RATE@EPOCH/,
    'step:0.01@': /whole number for an epoch, got nothing/,
    'step:0.01@150,100': /epochs that rise, got 100 after 150/,
    'step:0.01@1.5': /whole number/,
    'step:0.01@1*2*3': /one factor/,
    'cosine:1,2,3': /a first and a last rate/,
    'piecewise:1@2': /a first rate/,
    'piecewise:1,2': /RATE@EPOCH/,
    'piecewise:1,2@0': /epochs that rise/,
    'report+cooldown:3': /\+warmup:STEPS, got \+cooldown:3/,
    'report+warmup:x': /whole number for steps of warm-up, got x/,
    'report+warmup:1+warmup:2': /one addition/,
  };
  for (const [text, message] of Object.entries(wrong)) {
    assert.throws(() => parseSchedule(text), ArgumentError, text);
    assert.throws(() => parseSchedule(text), message);
  }
});

test.run();
