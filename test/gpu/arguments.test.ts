import assert from 'node:assert/strict';
import { test } from 'uvu';
import { checkFinite } from '../../src/autograd/check_finite.js';
import { Tape } from '../../src/autograd/tape.js';
import { augmentBatch, augmentFaces, drawAugmentation, plainPlan } from '../../src/data/augment.js';
import { faceTargets } from '../../src/data/batch.js';
import { formatJsonLines, parseJsonLines, parseRetinaFaceLabels, parseWiderBoxes } from '../../src/data/labels.js';
import { randomOf } from '../../src/data/random.js';
import { syntheticScene, syntheticSource } from '../../src/data/synthetic.js';
import { iouMatrix } from '../../src/detect/iou_matrix.js';
import { matchAnchors } from '../../src/detect/match.js';
import { nms } from '../../src/detect/nms.js';
import { topK } from '../../src/detect/top_k.js';
import { averagePrecision, precisionRecall } from '../../src/evaluate/average_precision.js';
import { evaluateModel, searchPictures } from '../../src/evaluate/evaluate_model.js';
import { type GroundTruth, groundTruthFromSamples } from '../../src/evaluate/ground_truth.js';
import { evaluateHeights } from '../../src/evaluate/heights.js';
import { landmarkErrors } from '../../src/evaluate/landmarks.js';
import { protocolOf } from '../../src/evaluate/protocol.js';
import { describe } from '../../src/gpu/arguments.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { decodeImage } from '../../src/node/codecs.js';
import { writeImage } from '../../src/node/files.js';
import { add } from '../../src/ops/add.js';
import { batchNorm, foldBatchNorm } from '../../src/ops/batch_norm.js';
import { concat } from '../../src/ops/concat.js';
import { conv2d } from '../../src/ops/conv2d.js';
import { deformConv2d } from '../../src/ops/deform_conv2d.js';
import { maxPool2d } from '../../src/ops/max_pool2d.js';
import { mean } from '../../src/ops/mean.js';
import { multiply } from '../../src/ops/multiply.js';
import { negativeLogLikelihood } from '../../src/ops/negative_log_likelihood.js';
import { prepareImages } from '../../src/ops/prepare_images.js';
import { leakyRelu, relu } from '../../src/ops/relu.js';
import { reshape } from '../../src/ops/reshape.js';
import { slice } from '../../src/ops/slice.js';
import { smoothL1 } from '../../src/ops/smooth_l1.js';
import { softmax } from '../../src/ops/softmax.js';
import { sum } from '../../src/ops/sum.js';
import { unpool } from '../../src/ops/unpool.js';
import { configurations, narrowed } from '../../src/retinaface/config.js';
import { multiboxLoss, REPORT_LOSS } from '../../src/retinaface/loss.js';
import { Network } from '../../src/retinaface/network.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { encodeCheckpoint, restoreCheckpoint } from '../../src/train/checkpoint.js';
import { parseSchedule } from '../../src/train/schedule.js';
import { Sgd } from '../../src/train/sgd.js';
import { Trainer } from '../../src/train/trainer.js';
import { tune } from '../../src/tune/tune.js';
import { readWeights } from '../../src/weights/read.js';
import { readSafetensors, writeSafetensors } from '../../src/weights/safetensors.js';
import { testDevice as device } from '../helpers/device.js';

test('values are described as what they are', () => {
  const values: readonly (readonly [unknown, string])[] = [
    [null, 'null'],
    [undefined, 'undefined'],
    ['640', "'640'"],
    [7, '7'],
    [Promise.resolve(), 'a promise'],
    [new Uint8Array(3), 'a Uint8Array of 3 elements'],
    [new ArrayBuffer(3), 'an ArrayBuffer'],
    [[1, 2], 'an array of 2'],
    [{}, 'an empty object'],
    [{ a: 1, b: 2 }, 'an object with a, b'],
    [() => 1, 'a function'],
  ];
  for (const [value, words] of values) assert.equal(describe(value), words);
});

/** Calls with options that do not exist, are of another type, or are missing, and what is said of them. */
function slips(): readonly (readonly [() => unknown, RegExp])[] {
  const x = Tensor.from(device, new Float32Array(16), [1, 2, 2, 4]);
  const weight = Tensor.from(device, new Float32Array(16), [1, 1, 4, 4]);
  const c = Tensor.from(device, new Float32Array(4), [4]);
  const boxes = Tensor.from(device, new Float32Array(4), [1, 4]);
  const labels = Tensor.from(device, new Uint32Array(4), [1, 2, 2]);
  const gpu = Gpu.of(device);
  // Bare options: what a caller without types may write.
  const bare = (options: unknown): never => options as never;
  const norm = { gamma: c, beta: c, runningMean: c, runningVar: c };
  const outputs = { logits: x, boxes: x, landmarks: undefined };
  const faces = { boxes: x, landmarks: x, annotated: x, counts: labels };
  const size = { width: 9, height: 9 };
  return [
    [() => conv2d(x, weight, bare({ strides: 2 })), /conv2d: expected options of stride, .*got 'strides'/],
    [() => conv2d(x, weight, bare({ stride: '2' })), /stride to be a number or an array, got '2'/],
    [() => conv2d(x, weight, bare({ bias: new Float32Array(4) })), /bias to be a tensor, got a Float32Array of 4/],
    [() => deformConv2d(x, x, weight, bare({ groups: 2 })), /deformConv2d: .*got 'groups'/],
    [() => add(x, x, bare({ slop: 0 })), /add: .*Did you mean 'slope'/],
    [() => add(x, x, bare(0.1)), /add: expected options as an object of slope, got 0.1/],
    [() => batchNorm(x, bare({ ...norm, epsilon: 1 })), /batchNorm: .*got 'epsilon'/],
    [
      () => batchNorm(x, bare({ ...norm, gamma: undefined })),
      /batchNorm: expected gamma to be a tensor, got undefined/,
    ],
    [() => batchNorm(x, bare(undefined)), /batchNorm: expected options as an object of gamma/],
    [() => batchNorm(x, { ...norm, eps: -1 }), /an eps of 0 or more, got -1/],
    [() => foldBatchNorm(bare({ ...norm, training: true })), /foldBatchNorm: .*got 'training'/],
    [() => maxPool2d(x, bare({ size: 2 })), /maxPool2d: expected options of kernel, stride, padding, got 'size'/],
    [() => maxPool2d(x, bare({ stride: 2 })), /kernel to be a number or an array, got undefined/],
    [() => maxPool2d(x, bare(2)), /maxPool2d: expected options as an object/],
    [() => unpool(x, bare({ scale: 2 })), /unpool: .*got 'scale'/],
    [() => unpool(x, bare(4)), /unpool: .*got 4. Write { size: … }/],
    [() => slice(x, bare({ axis: 1, start: 0, end: 1 })), /slice: .*got 'end'/],
    [() => smoothL1(x, x, bare({ Beta: 1 })), /Did you mean 'beta'/],
    [() => smoothL1(x, x, bare({ reduction: 'average' })), /'mean', 'sum' or 'none', got 'average'/],
    [() => negativeLogLikelihood(x, labels, bare({ weight: c })), /Did you mean 'weights'/],
    [() => negativeLogLikelihood(x, labels, bare({ reduction: true })), /reduction to be a string, got true/],
    [() => prepareImages(device, [], bare(size)), /prepareImages: expected placements to be an array, got undefined/],
    [() => augmentBatch(device, [], [], bare({ edge: 9 })), /augmentBatch: .*got 'edge'/],
    [() => iouMatrix(boxes, boxes, bare({ plusone: true })), /Did you mean 'plusOne'/],
    [() => matchAnchors(boxes, faces, bare({ ...REPORT_LOSS, variances: 1 })), /variances to be an array, got 1/],
    [() => matchAnchors(boxes, faces, bare({})), /positiveThreshold to be a number, got undefined/],
    [() => matchAnchors(boxes, faces, REPORT_LOSS, bare({ points: false })), /matchAnchors: .*got 'points'/],
    [() => multiboxLoss(outputs, boxes, faces, bare({ ...REPORT_LOSS, ratio: 3 })), /Did you mean 'negativeRatio'/],
    [() => multiboxLoss(outputs, boxes, faces, bare({ ...REPORT_LOSS, lambda: 1 })), /lambda to be an object, got 1/],
    [
      () => multiboxLoss(outputs, boxes, faces, { ...REPORT_LOSS, lambda: bare({ class: 1, box: 1 }) }),
      /landmarks to be a number, got undefined/,
    ],
    [() => multiboxLoss(outputs, boxes, faces, { ...REPORT_LOSS, classNormalisation: bare('all') }), /got 'all'/],
    [() => new Sgd(gpu, [], bare({ lr: 0.1 })), /got 'lr'/],
    [() => protocolOf('report', bare({ threshold: 0.1 })), /Did you mean 'scoreThreshold'/],
    [() => protocolOf(bare('reports')), /a protocol of published, report, got 'reports'/],
    [() => drawAugmentation(randomOf(1, 0, 0), size, [], bare({ flips: 1 })), /got 'flips'/],
    [() => syntheticScene(1, 0, bare({ SIZE: 64 })), /Did you mean 'size'/],
    [() => syntheticSource(1, 1, bare({ faces: 3 })), /faces to be an array, got 3/],
    [() => decodeImage(new Uint8Array(9), 'it', bare({ maxPixel: 9 })), /decodeImage: .*Did you mean 'maxPixels'/],
    [() => parseJsonLines('', bare({ minimumsize: 3 })), /parseJsonLines: .*Did you mean 'minimumSize'/],
    [() => parseWiderBoxes('', bare({ minimumSize: '3' })), /minimumSize to be a number, got '3'/],
    [() => parseRetinaFaceLabels(bare(new Uint8Array(9))), /got a Uint8Array of 9 elements.*as text first/],
    [() => averagePrecision(nothing, new Map(), bare({ iou: 0.5 })), /averagePrecision: .*'iouThreshold'/],
    [() => precisionRecall([], bare({ threshold: 9 })), /precisionRecall: .*Did you mean/],
    [() => landmarkErrors(nothing, new Map(), bare({ threshold: 9 })), /landmarkErrors: .*Did you mean/],
    [() => evaluateHeights(nothing, new Map(), bare({ heights: [9] })), /got 'heights'/],
  ];
}

/** Calls with something else where a tensor is due, and what is said of it. */
function noTensors(): readonly (readonly [() => unknown, RegExp])[] {
  const x = Tensor.from(device, new Float32Array(16), [1, 2, 2, 4]);
  const weight = Tensor.from(device, new Float32Array(16), [1, 1, 4, 4]);
  const indices = Tensor.from(device, new Uint32Array(16), [1, 2, 2, 4]);
  const boxes = Tensor.from(device, new Float32Array(4), [1, 4]);
  const bare = (value: unknown): never => value as never;
  const later = bare(Promise.resolve(x));
  const list = bare([1, 2, 3]);
  const none = bare(undefined);
  const faces = { boxes, landmarks: x, annotated: x, counts: bare(boxes) };
  const tape = new Tape(device);
  const found = { score: 1, box: { x1: 1, y1: 2, x2: 3, y2: 4 } };
  const network = new Network(Gpu.of(device), configurations['published-mobilenet0.25']);
  return [
    [() => relu(later), /relu: expected x to be a tensor, got a promise\. Await it/],
    [() => leakyRelu(none, 0.1), /leakyRelu: expected x to be a tensor, got undefined\. Make one/],
    [() => add(x, list), /add: expected b to be a tensor, got an array of 3/],
    [() => multiply(bare(2), x), /multiply: expected a to be a tensor, got 2/],
    [() => multiply(x, bare(indices)), /multiply: expected b to be a tensor of f32, got one of u32/],
    [() => conv2d(x, bare(new Float32Array(16))), /conv2d: expected weight to be a tensor, got a Float32Array of 16/],
    [() => deformConv2d(x, none, weight), /deformConv2d: expected offset to be a tensor, got undefined/],
    [() => maxPool2d(list, { kernel: 2 }), /maxPool2d: expected x to be a tensor/],
    [() => unpool(bare(null), { size: 2 }), /unpool: expected x to be a tensor, got null/],
    [() => slice(bare({ shape: [4] }), { axis: 0, start: 0, count: 1 }), /slice: .* got an object with shape/],
    [() => softmax(none), /softmax: expected x/],
    [() => sum(list), /sum: expected x/],
    [() => mean(later), /mean: expected x to be a tensor, got a promise/],
    [() => reshape(list, [3]), /reshape: expected x/],
    [() => concat(bare(x), 0), /concat: expected an array of one tensor or more, got a Tensor/],
    [() => concat([x, later], 0), /concat: expected tensors\[1\] to be a tensor, got a promise/],
    [() => batchNorm(none, bare({ gamma: x, beta: x, runningMean: x, runningVar: x })), /batchNorm: expected x/],
    [() => smoothL1(x, list), /smoothL1: expected target/],
    [() => negativeLogLikelihood(x, bare(x)), /expected labels to be a tensor of u32, got one of f32/],
    [() => iouMatrix(boxes, list), /iouMatrix: expected b to be a tensor, got an array of 3/],
    [() => topK(list, 1), /topK: expected values to be a tensor/],
    [() => matchAnchors(list, faces, REPORT_LOSS), /matchAnchors: expected anchors/],
    [() => matchAnchors(boxes, none, REPORT_LOSS), /matchAnchors: .* got undefined/],
    [() => matchAnchors(boxes, faces, REPORT_LOSS), /expected counts to be a tensor of u32, got one of f32/],
    [() => multiboxLoss(none, boxes, bare({ ...faces, counts: indices }), REPORT_LOSS), /multiboxLoss: /],
    [() => tape.watch(list), /Tape\.watch: expected tensor to be a tensor/],
    [() => tape.gradient(none), /Tape\.gradient: expected tensor/],
    [
      () => {
        tape.backward(later);
      },
      /Tape\.backward: expected loss to be a tensor, got a promise/,
    ],
    [() => tape.record(bare(() => Promise.reject(new Error('later')))), /Tape\.record: .*at once, got a promise/],
    [() => scope(() => Promise.resolve(x)), /scope: expected a function that answers at once, got a promise/],
    [() => new Sgd(Gpu.of(device), [{ name: 'w', value: list }]), /expected value of w to be a tensor/],
    [() => new Trainer(bare({ network })), /new Trainer: .*Write new Trainer\(model\.network\)/],
    [() => parseSchedule(bare(0.1)), /got 0\.1/],
    [() => faceTargets(device, none), /a list of faces for each picture, got undefined/],
    [
      () => faceTargets(device, bare([{ box: [1, 2, 3, 4] }])),
      /a list of faces for each picture, got an object with box/,
    ],
    [() => faceTargets(device, bare([[found]])), /faceTargets: .*write box: \[box\.x1/],
    [() => augmentFaces(plainPlan({ width: 9, height: 9 }), bare([found]), 9), /augmentFaces: .*write box: \[box\.x1/],
    [() => network.forward(list, x), /conv2d: expected x to be a tensor, got an array of 3/],
    [() => Tensor.from(device, none, [1]), /Tensor\.from tensor: .* an array of numbers, got undefined/],
    [() => Tensor.from(device, bare(new Float64Array(2)), [2]), /got a Float64Array of 2 elements\. Convert it/],
    [
      () => {
        x.write(bare(new Uint32Array(16)));
      },
      /write tensor: expected a Float32Array, got a Uint32Array of 16/,
    ],
  ];
}

test('what is no tensor, or one of another type, is an error of the function that was given it', () => {
  scope(() => {
    for (const [slip, message] of noTensors()) assert.throws(slip, { name: 'ArgumentError', message });
  });
  using trainer = new Trainer(new Network(Gpu.of(device), configurations['published-mobilenet0.25']));
  const steps: readonly unknown[] = [undefined, {}, [{ x: [1], targets: {} }]];
  for (const step of steps) {
    assert.throws(() => trainer.accumulate(step as never), { name: 'ArgumentError', message: /^accumulate: / });
  }
  const shape = 4 as unknown as readonly number[];
  scope(() => {
    const x = Tensor.zeros(device, [4]);
    assert.throws(() => reshape(x, shape), { name: 'ShapeError', message: /^reshape: expected an array of sizes/ });
  });
  assert.throws(() => Tensor.zeros(device, shape), { name: 'ShapeError', message: /an array of sizes.* got 4\./ });
});

const nothing: GroundTruth = { pictures: [], subsets: 'all' };

/** Calls without what they are about, or with another thing in its place, and what is said of it. */
function noArguments(): readonly (readonly [() => unknown, RegExp])[] {
  const none = undefined as never;
  const other = (value: unknown): never => value as never;
  const gpu = Gpu.of(device);
  return [
    [() => readSafetensors(none, 'it'), /readSafetensors: expected bytes to be a Uint8Array, got undefined/],
    [() => readSafetensors(other('weights.safetensors'), 'it'), /bytes to be a Uint8Array, got 'weights\.safetensors'/],
    [() => readSafetensors(other(new ArrayBuffer(9)), 'it'), /bytes to be a Uint8Array, got an ArrayBuffer/],
    [() => writeSafetensors(none), /writeSafetensors: expected tensors to be an object, got undefined/],
    [() => decodeImage(none, 'it'), /decodeImage: expected bytes to be a Uint8Array, got undefined/],
    [() => restoreCheckpoint(none, new Uint8Array(9), 'it'), /restoreCheckpoint: expected trainer to be an object/],
    [() => narrowed(none, 0.5), /narrowed: expected configuration to be an object, got undefined/],
    [() => narrowed(other('context'), 0.5), /narrowed: expected configuration to be an object, got 'context'/],
    [() => formatJsonLines(none), /formatJsonLines: expected samples to be an array, got undefined/],
    [() => groundTruthFromSamples(none), /groundTruthFromSamples: expected samples to be an array/],
    [() => averagePrecision(none, new Map()), /averagePrecision: expected groundTruth to be an object/],
    [() => averagePrecision(nothing, none), /averagePrecision: expected predictions to be an object/],
    [() => new Sgd(gpu, none), /Sgd: expected parameters to be an array, got undefined/],
    [() => scope(none), /scope: expected compute to be a function, got undefined/],
    [() => new Tape(device).record(none), /Tape\.record: expected compute to be a function, got undefined/],
  ];
}

test('functions say which argument is missing, or is another thing', () => {
  for (const [slip, message] of noArguments()) assert.throws(slip, { name: 'ArgumentError', message });
});

test('public functions refuse options that they do not have, of another type, and missing ones', () => {
  scope(() => {
    for (const [slip, message] of slips()) assert.throws(slip, { name: 'ArgumentError', message });
  });
});

test('so do those that answer later', async () => {
  using boxes = Tensor.from(device, new Float32Array(4), [1, 4]);
  using scores = Tensor.from(device, new Float32Array(1), [1]);
  const source = { length: 0, name: () => '', load: () => Promise.reject(new Error('nothing to load')) };
  const model = { detect: () => Promise.resolve([]) };
  const answersLater: unknown = () => Promise.resolve();
  const late: readonly (readonly [() => Promise<unknown>, RegExp])[] = [
    [() => nms(boxes, scores, { threshold: 0.4 } as never), /Did you mean 'iouThreshold'/],
    [
      () => nms([[0, 0, 9, 9]] as never, scores, { iouThreshold: 0.4 }),
      /nms: expected boxes to be a tensor, got an array/,
    ],
    [() => checkFinite(() => Promise.resolve()), /checkFinite: expected a function that answers at once/],
    [() => checkFinite(undefined as never), /checkFinite: expected compute to be a function, got undefined/],
    [() => tune(device, undefined as never), /tune: expected compute to be a function, got undefined/],
    [() => tune(device, answersLater as never), /tune: expected a function that answers at once/],
    [() => readWeights(undefined as never, 'it'), /readWeights: expected bytes to be a Uint8Array, got undefined/],
    [() => readWeights('weights.pth' as never, 'it'), /readWeights: expected bytes to be a Uint8Array, got 'weights/],
    [() => encodeCheckpoint(undefined as never, undefined as never), /encodeCheckpoint: expected trainer to be/],
    [() => writeImage('it.png', undefined as never), /writeImage: expected picture to be an object, got undefined/],
    [() => evaluateModel(undefined as never, source, nothing), /evaluateModel: expected model to be an object/],
    [() => nms(boxes, scores, {} as never), /nms: expected iouThreshold to be a number, got undefined/],
    [() => searchPictures(model, source, { batchSize: 2 } as object), /searchPictures: .*got 'batchSize'/],
    [() => evaluateModel(model, source, nothing, { protocols: 'report' } as object), /got 'protocols'/],
    [() => tune(device, () => undefined, { onmeasured: () => undefined } as object), /Did you mean 'onMeasured'/],
  ];
  for (const [slip, message] of late) await assert.rejects(slip, { name: 'ArgumentError', message });
});

test.run();
