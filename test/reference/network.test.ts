import assert from 'node:assert/strict';
import { test } from 'uvu';
import { formulaTensor } from '../helpers/formula.js';
import { assertGolden, readGolden } from '../helpers/golden.js';
import { anchors, PUBLISHED_LEVELS, REPORT_LEVELS } from './anchors.js';
import { array64, map, sizeOf, type Array64 } from './array64.js';
import { batchNorm } from './batch_norm.js';
import { concat } from './concat.js';
import { conv2d } from './conv2d.js';
import { decodeBoxes, decodeLandmarks } from './decode_boxes.js';
import { relu } from './relu.js';
import { softmax } from './softmax.js';

const full = readGolden('full');
const published = readGolden('published_resnet50');

/**
 * A result computed from goldens inherits their rounding to float32, 2^-24 of each: through a sum of n products it grows by
 * √n, here at most √(9·2048) ≈ 136, and through the three batch norms of a context module by as many small factors more.
 */
const FROM_ROUNDED = 2 ** -24 * 136 * 4;

function parameter(name: string, shape: readonly number[]): Array64 {
  return array64(shape, formulaTensor(name, shape));
}

/** A convolution with the weight that PyTorch knows by this name, O, I, H, W there. */
function convolution(x: Array64, name: string, cout: number, kernel: number, stride = 1, bias?: Array64): Array64 {
  const cin = x.shape[3]!;
  const weight = formulaTensor(`${name}.weight`, [cout, cin, kernel, kernel]);
  const shape = [kernel, kernel, cin, cout];
  const turned = array64(shape, new Float64Array(sizeOf(shape)));
  for (let o = 0; o < cout; o++)
    for (let c = 0; c < cin; c++)
      for (let tap = 0; tap < kernel * kernel; tap++)
        turned.data[(tap * cin + c) * cout + o] = weight[(o * cin + c) * kernel * kernel + tap]!;
  return conv2d(x, turned, { stride, padding: (kernel - 1) / 2, ...(bias && { bias }) });
}

function convBn(x: Array64, name: string, cout: number, stride = 1): Array64 {
  return batchNorm(convolution(x, `${name}.0`, cout, 3, stride), {
    gamma: parameter(`${name}.1.weight`, [cout]),
    beta: parameter(`${name}.1.bias`, [cout]),
    runningMean: parameter(`${name}.1.running_mean`, [cout]),
    runningVar: parameter(`${name}.1.running_var`, [cout]),
  }).output;
}

test("the twins and formula-made weights take PyTorch's C5 to its P6, its context and its logits", () => {
  const p6 = convBn(full.array('C5'), 'fpn.extra6', 256, 2);
  assertGolden(p6, full.array('P6'), 'P6', FROM_ROUNDED);

  const shared = relu(convBn(p6, 'ssh6.conv5X5_1', 64));
  const five = convBn(shared, 'ssh6.conv5X5_2', 64);
  const seven = convBn(relu(convBn(shared, 'ssh6.conv7X7_2', 64)), 'ssh6.conv7x7_3', 64);
  const context = relu(concat([convBn(p6, 'ssh6.conv3X3', 128), five, seven], 3));
  assertGolden(context, full.array('context6'), 'context6', FROM_ROUNDED);

  for (const [prefix, stage] of [
    ['', 'first'],
    ['cascade.', 'second'],
  ] as const) {
    for (const [head, output, values] of [
      ['ClassHead', 'logits', 2],
      ['BboxHead', 'boxes', 4],
      ['LandmarkHead', 'landmarks', 10],
    ] as const) {
      const name = `${prefix}${head}.4.conv1x1`;
      const bias = parameter(`${name}.bias`, [3 * values]);
      const { data } = convolution(context, name, 3 * values, 1, 1, bias);
      // The coarsest level comes last: its cells in rows, three anchors to a cell.
      const all = full.array(`${stage}.${output}`);
      const expected = array64([data.length], all.data.subarray(all.data.length - data.length));
      assertGolden(array64([data.length], data), expected, `${stage}.${output}`, FROM_ROUNDED);
    }
  }
});

/** Decoding multiplies the rounding of a code by the anchor's size, 406 pixels or grown 62.5-fold at most. */
const DECODED = 2 ** -24 * 16;

test('the cascade decodes its second boxes relative to its first', () => {
  const places = anchors(72, 100, REPORT_LEVELS);
  const first = decodeBoxes(full.array('first.boxes'), places);
  assertGolden(first, full.array('first.decoded_boxes'), 'first.decoded_boxes', DECODED);
  const second = decodeBoxes(full.array('second.boxes'), first);
  assertGolden(second, full.array('decoded_boxes'), 'decoded_boxes', DECODED);
  const points = decodeLandmarks(full.array('second.landmarks'), first);
  assertGolden(points, full.array('decoded_landmarks'), 'decoded_landmarks', DECODED);
});

test('the published network decodes with variances 0.1 and 0.2', () => {
  const places = anchors(64, 96, PUBLISHED_LEVELS);
  const code = { centreVariance: 0.1, sizeVariance: 0.2 };
  const boxes = decodeBoxes(published.array('boxes'), places, code);
  assertGolden(boxes, published.array('decoded_boxes'), 'decoded_boxes', DECODED);
  const points = decodeLandmarks(published.array('landmarks'), places, code);
  assertGolden(points, published.array('decoded_landmarks'), 'decoded_landmarks', DECODED);
});

test('scores are the softmax of class 1', () => {
  for (const [golden, logits] of [
    [full, 'second.logits'],
    [published, 'logits'],
  ] as const) {
    const both = softmax(golden.array(logits));
    const scores = golden.array('scores');
    // A probability changes by at most a quarter of its logits' difference.
    assertGolden(
      map(scores, (_, i) => both.data[2 * i + 1]!),
      scores,
      logits,
      2 ** -24 * 4.5,
    );
    assert.equal(both.data.length, 2 * scores.data.length);
  }
});

test.run();
