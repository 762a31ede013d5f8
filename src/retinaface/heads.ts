import type { Parameter, ParameterList } from '../nn/parameter.js';
import { concat } from '../ops/concat.js';
import { conv2d } from '../ops/conv2d.js';
import { reshape } from '../ops/reshape.js';
import { slice } from '../ops/slice.js';
import { keep, scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';

/** Raw outputs of one set of heads, all anchors in the order level, y, x, anchor. */
export interface HeadOutputs {
  /** [n, anchors, 2], before softmax; index 1 is face. */
  readonly logits: Tensor;
  /** [n, anchors, 4], box codes relative to the anchors. */
  readonly boxes: Tensor;
  /** [n, anchors, 10], landmark codes (x, y) of left eye, right eye, nose, left and right mouth corner. */
  readonly landmarks: Tensor | undefined;
}

interface Task {
  readonly weight: Parameter;
  readonly bias: Parameter;
}

/**
 * 1×1 convolutions from one level's features to the codes of its anchors (report §3.5, "Multi-Task Heads"). The tasks
 * of a level have parameters of their own but are computed as one convolution.
 */
class LevelHead {
  readonly #tasks: readonly Task[];
  #fused: { readonly weight: Tensor; readonly bias: Tensor } | undefined;

  constructor(parameters: ParameterList, names: readonly string[], channels: number, anchors: number) {
    this.#tasks = names.map((name, task) => {
      const values = VALUES[task]!;
      return {
        weight: parameters.weight(`${name}.conv1x1.weight`, [1, 1, channels, values * anchors], parameters.precision),
        bias: parameters.weight(`${name}.conv1x1.bias`, [values * anchors]),
      };
    });
  }

  fold(): void {
    this.dispose();
    const { weight, bias } = scope(() => this.#join());
    this.#fused = { weight: keep(weight), bias: keep(bias) };
  }

  /** The tasks' weights side by side, [1, 1, c, values of all tasks]; behind them zeros up to a whole vec4f of values. */
  #join(): { readonly weight: Tensor; readonly bias: Tensor } {
    const side = (of: (task: Task) => Parameter, axis: number): Tensor => {
      const parts = this.#tasks.map((task) => of(task).tensor);
      const rest = -parts.reduce((sum, { shape }) => sum + shape[axis]!, 0) & 3;
      const { gpu, shape, dtype } = parts[0]!;
      return concat(rest ? [...parts, Tensor.zeros(gpu, shape.with(axis, rest), { dtype })] : parts, axis);
    };
    return { weight: side(({ weight }) => weight, 3), bias: side(({ bias }) => bias, 0) };
  }

  /** Features [n, h, w, c] → the tasks' codes side by side: [n, h·w, anchors · values of all tasks]. */
  forward(features: Tensor, training: boolean): Tensor {
    return scope(() => {
      // In training the weights change with every step, and their gradients go through the join.
      const { weight, bias } = training ? this.#join() : this.#fused!;
      const [n = 0, h = 0, w = 0] = features.shape;
      const shape = [n, h, w, bias.size];
      // Codes are f32, whatever a network computes in.
      const into = features.dtype === 'f16' && { into: Tensor.empty(features.gpu, shape, { label: 'codes' }) };
      return reshape(conv2d(features, weight, { bias, ...into }), [n, h * w, bias.size]);
    });
  }

  dispose(): void {
    this.#fused?.weight.dispose();
    this.#fused?.bias.dispose();
    this.#fused = undefined;
  }
}

/** Numbers per anchor of each task: background and face, box, five points. */
const VALUES = [2, 4, 10] as const;
const TASKS = ['ClassHead', 'BboxHead', 'LandmarkHead'] as const;

/** One set of heads: for every level the class, the box and, if wanted, the landmarks. */
export class Heads {
  readonly #levels: readonly LevelHead[];
  readonly #anchors: number;
  /** Numbers per anchor of each task. */
  readonly #values: readonly number[];

  /** `prefix` is empty, or `cascade.` for the second set. */
  constructor(
    parameters: ParameterList,
    options: {
      readonly prefix: string;
      readonly levels: number;
      readonly channels: number;
      readonly anchors: number;
      readonly landmarks: boolean;
    },
  ) {
    const { prefix, levels, channels, anchors, landmarks } = options;
    this.#anchors = anchors;
    const tasks = landmarks ? TASKS : TASKS.slice(0, 2);
    this.#values = VALUES.slice(0, tasks.length);
    this.#levels = Array.from({ length: levels }, (_, level) => {
      const names = tasks.map((task) => `${prefix}${task}.${level}`);
      return new LevelHead(parameters, names, channels, anchors);
    });
  }

  /** Joins the tasks' weights; to be called after each load. */
  fold(): void {
    for (const level of this.#levels) level.fold();
  }

  /** `training`: differentiably, by the parameters as they are now; else by those of the last `fold`. */
  forward(features: readonly Tensor[], training = false): HeadOutputs {
    return scope(() => {
      const codes = concat(
        features.map((map, level) => this.#levels[level]!.forward(map, training)),
        1,
      );
      const [n = 0, cells = 0] = codes.shape;
      let start = 0;
      const [logits, boxes, landmarks] = this.#values.map((values) => {
        const count = values * this.#anchors;
        const part = slice(codes, { axis: 2, start, count });
        start += count;
        return reshape(part, [n, cells * this.#anchors, values]);
      });
      return { logits: logits!, boxes: boxes!, landmarks };
    });
  }

  dispose(): void {
    for (const level of this.#levels) level.dispose();
  }
}
