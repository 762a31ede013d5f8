// TensorFlow.js on its WebGPU backend, in Node by the same Dawn as ours: the training step, as its users write one.
import tf from '@tensorflow/tfjs';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { create, globals } from 'webgpu';
import { anchorsFor } from '../../src/detect/anchors.js';
import { computesOnCpu } from '../../src/gpu/device.js';
import { type Waiting, waitingFor } from '../../src/gpu/waiting.js';
import { configurations } from '../../src/retinaface/config.js';
import { PUBLISHED_LOSS } from '../../src/retinaface/loss.js';
import { array64 } from '../../test/reference/array64.js';
import { matchAnchors } from '../../test/reference/match.js';
import { FACES, RATE } from './cases.js';

const SLOPE = 0.1;
const EPSILON = 1e-5;
const MOMENTUM = 0.9;
const DECAY = 5e-4;
/** A batch's share in the running statistics. */
const SHARE = 0.1;

/** Output channels and strides of MobileNet's blocks, by stage. */
const STAGES = [
  [16, 1, 32, 2, 32, 1, 64, 2, 64, 1],
  [128, 2, 128, 1, 128, 1, 128, 1, 128, 1, 128, 1],
  [256, 2, 256, 1],
] as const;

/** Values of a parameter in our layout, by its name: convolutions [kh, kw, cin, cout]. */
type ValuesOf = (name: string, shape: readonly number[]) => Float32Array;

/** Makes the backend the one in use; answers what it calls itself, and how to wait for it, as ours does. */
export async function openTfjs(): Promise<{ readonly ready: string; readonly wait: Waiting }> {
  Object.assign(globalThis, globals);
  const navigator = { gpu: create([]), userAgent: 'Node', platform: process.platform };
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
  await import('@tensorflow/tfjs-backend-webgpu');
  if (!(await tf.setBackend('webgpu'))) throw new Error('TensorFlow.js finds no WebGPU');
  const { device } = tf.backend() as WebGPUBackend;
  const wait = waitingFor(device, { onCpu: computesOnCpu(device.adapterInfo) });
  return { ready: `TensorFlow.js ${tf.version_core}`, wait };
}

/** A network and its loss; answers class, box and total loss of a step on `input` [n, size, size, 3]. */
export function tfjsStep(
  [n = 0, , size = 0]: readonly number[],
  valuesOf: ValuesOf,
  wait: Waiting,
): (input: Float32Array) => Promise<Float32Array> {
  const variables = new Map<string, tf.Variable>();
  const variable = (name: string, shape: number[], trainable = true): tf.Variable => {
    let known = variables.get(name);
    if (!known) {
      // Of a depthwise convolution they have [kh, kw, channels, 1]: the same order.
      const theirs = shape.length === 4 && shape[2] === 1 ? [shape[0]!, shape[1]!, shape[3]!, 1] : shape;
      const values = tf.tensor(valuesOf(name, shape), theirs);
      variables.set(name, (known = tf.variable(values, trainable, name)));
    }
    return known;
  };
  const normed = (x: tf.Tensor4D, name: string): tf.Tensor4D => {
    const channels = x.shape[3];
    const [gamma, beta] = ['weight', 'bias'].map((each) => variable(`${name}.${each}`, [channels]) as tf.Tensor1D);
    const { mean, variance } = tf.moments(x, [0, 1, 2]);
    const count = x.size / channels;
    const running = [
      ['running_mean', mean],
      ['running_var', variance.mul(count / (count - 1))],
    ] as const;
    for (const [each, value] of running) {
      const kept = variable(`${name}.${each}`, [channels], false);
      kept.assign(kept.mul(1 - SHARE).add(value.mul(SHARE)));
    }
    return tf.batchNorm(x, mean as tf.Tensor1D, variance as tf.Tensor1D, beta!, gamma!, EPSILON) as tf.Tensor4D;
  };
  const convBn = (
    x: tf.Tensor4D,
    [conv, norm]: readonly [string, string],
    out: number,
    { kernel = 3, stride = 1, depthwise = false, slope = SLOPE as number | undefined } = {},
  ): tf.Tensor4D => {
    const weight = variable(`${conv}.weight`, [kernel, kernel, depthwise ? 1 : x.shape[3], out]) as tf.Tensor4D;
    const pad = (kernel - 1) / 2;
    const y = depthwise ? tf.depthwiseConv2d(x, weight, stride, pad) : tf.conv2d(x, weight, stride, pad);
    const z = normed(y, norm);
    return slope === undefined ? z : tf.leakyRelu(z, slope);
  };
  const names = (name: string): [string, string] => [`${name}.0`, `${name}.1`];
  const body = (x: tf.Tensor4D): tf.Tensor4D[] => {
    let at = convBn(x, names('body.stage1.0'), 8, { stride: 2 });
    return STAGES.map((blocks, s) => {
      for (let b = 0; b < blocks.length / 2; b++) {
        const name = `body.stage${s + 1}.${s === 0 ? b + 1 : b}`;
        at = convBn(at, names(name), at.shape[3], { stride: blocks[2 * b + 1]!, depthwise: true });
        at = convBn(at, [`${name}.3`, `${name}.4`], blocks[2 * b]!, { kernel: 1 });
      }
      return at;
    });
  };
  const pyramid = (maps: readonly tf.Tensor4D[]): tf.Tensor4D[] => {
    const levels = maps.map((map, level) => convBn(map, names(`fpn.output${level + 1}`), 64, { kernel: 1 }));
    for (const level of [1, 0]) {
      const [, h, w] = levels[level]!.shape;
      const above = tf.image.resizeNearestNeighbor(levels[level + 1]!, [h, w]);
      levels[level] = convBn(levels[level]!.add(above), names(`fpn.merge${level + 1}`), 64);
    }
    return levels;
  };
  const context = (x: tf.Tensor4D, name: string): tf.Tensor4D => {
    const part = (each: string, from: tf.Tensor4D, out: number, slope?: number): tf.Tensor4D =>
      convBn(from, names(`${name}.${each}`), out, { slope });
    const shared = part('conv5X5_1', x, 16, SLOPE);
    const inner = part('conv7X7_2', shared, 16, SLOPE);
    return tf.relu(tf.concat([part('conv3X3', x, 32), part('conv5X5_2', shared, 16), part('conv7x7_3', inner, 16)], 3));
  };
  const heads = (features: readonly tf.Tensor4D[], name: string, values: number): tf.Tensor =>
    tf.concat(
      features.map((map, level) => {
        const conv = `${name}.${level}.conv1x1`;
        const weight = variable(`${conv}.weight`, [1, 1, 64, 2 * values]) as tf.Tensor4D;
        const codes = tf.conv2d(map, weight, 1, 0).add(variable(`${conv}.bias`, [2 * values]));
        return codes.reshape([n, codes.size / n / values, values]);
      }),
      1,
    );

  // The same faces on each picture: matched once, by our twin.
  const { levels } = configurations['published-mobilenet0.25'];
  const anchors = anchorsFor(levels, size, size);
  const count = anchors.length / 4;
  const found = matchAnchors(
    array64([count, 4], anchors),
    FACES.map((box) => ({ box })),
    PUBLISHED_LOSS,
  );
  const positives = found.labels.filter((label) => label === 1).length;
  const labels = tf.tile(tf.tensor2d(found.labels, [1, count]), [n, 1]);
  const ones = tf.oneHot(labels.cast('int32'), 2).cast('float32');
  const codes = tf.tile(tf.tensor3d(Float32Array.from(found.boxes.data), [1, count, 4]), [n, 1, 1]);
  const wanted = PUBLISHED_LOSS.negativeRatio * positives;

  /** The sum of the positives' losses and of as many times the hardest negatives' as the ratio says, over the positives. */
  const mined = tf.customGrad((losses, save) => {
    const [all] = [losses as tf.Tensor2D];
    const negatives = tf.where(labels.greater(0), tf.zerosLike(all), all);
    const least = tf.topk(negatives, wanted).values.min(1, true);
    const mask = tf.maximum(labels, negatives.greaterEqual(least).cast('float32')).div(n * positives);
    (save as (tensors: tf.Tensor[]) => void)([mask]);
    return { value: all.mul(mask).sum(), gradFunc: (dy: tf.Tensor, [kept]: tf.Tensor[]) => kept!.mul(dy) };
  });

  const forward = (x: tf.Tensor4D) => {
    const maps = pyramid(body(x));
    const features = maps.map((map, level) => context(map, `ssh${level + 1}`));
    return {
      logits: heads(features, 'ClassHead', 2),
      boxes: heads(features, 'BboxHead', 4),
      landmarks: heads(features, 'LandmarkHead', 10),
    };
  };
  // Makes the variables.
  tf.tidy(() => forward(tf.zeros([n, size, size, 3])));

  const optimiser = tf.train.momentum(RATE, MOMENTUM);
  return async (input) => {
    const losses = tf.tidy(() => {
      const x = tf.tensor4d(input, [n, size, size, 3]);
      const parts: tf.Scalar[] = [];
      const { value, grads } = tf.variableGrads(() => {
        const { logits, boxes, landmarks } = forward(x);
        const losses = tf.logSumExp(logits, 2).sub(logits.mul(ones).sum(2));
        const ofClass = mined(losses) as tf.Scalar;
        const error = boxes.sub(codes).abs();
        const near = tf.minimum(error, 1);
        const far = error.sub(near);
        const smooth = near.square().mul(0.5).add(far).sum(2);
        const ofBoxes = smooth
          .mul(labels)
          .sum()
          .div(n * positives) as tf.Scalar;
        parts.push(tf.keep(ofClass.clone()), tf.keep(ofBoxes.clone()));
        return ofClass.add(ofBoxes.mul(2)).add(landmarks.sum().mul(0)) as tf.Scalar;
      });
      const decayed: tf.NamedTensorMap = {};
      for (const [name, gradient] of Object.entries(grads))
        decayed[name] = gradient.add(variables.get(name)!.mul(DECAY));
      optimiser.applyGradients(decayed as Parameters<typeof optimiser.applyGradients>[0]);
      const all = tf.stack([...parts, value]);
      for (const part of parts) part.dispose();
      return all;
    });
    const values = await wait(losses.data());
    losses.dispose();
    return Float32Array.from(values);
  };
}
