import { ArgumentError } from '../gpu/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { keep } from '../tensor/scope.js';
import { elements, type Shape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';

/** What weights and activations are stored in. Sums are f32 in both. */
export type Precision = 'f32' | 'f16';

/** What a network keeps under one dotted name: weights, or the running statistics of a batch norm. */
export class Parameter implements Disposable {
  /** As in the published checkpoints: `body.stage1.0.0.weight`. */
  readonly name: string;
  /** As in our layout: convolutions `[kh, kw, cin, cout]`, vectors `[c]`. */
  readonly shape: Shape;
  /** False for running statistics, which no optimiser touches. */
  readonly trainable: boolean;
  /** The shape on the device: that of `shape` with the input channels of a picture padded from 3 to 4. */
  readonly storedShape: Shape;
  readonly tensor: Tensor<Precision>;
  /** True: training leaves it as it is, and no gradient is computed for it. */
  frozen = false;

  constructor(gpu: Gpu, name: string, shape: Shape, trainable: boolean, precision: Precision = 'f32') {
    this.name = name;
    this.shape = shape;
    this.trainable = trainable;
    this.storedShape = shape.length === 4 && shape[2] === 3 ? [shape[0]!, shape[1]!, 4, shape[3]!] : shape;
    this.tensor = keep(Tensor.empty(gpu, this.storedShape, { dtype: precision, label: name }));
  }

  /** Sets the values, row-major in `shape`. */
  write(values: Float32Array): void {
    if (this.storedShape === this.shape) {
      this.tensor.write(Float32Array.from(values));
      return;
    }
    const [kh, kw, cin, cout] = this.shape as readonly [number, number, number, number];
    const padded = new Float32Array(elements(this.storedShape));
    for (let tap = 0; tap < kh * kw; tap++) {
      padded.set(values.subarray(tap * cin * cout, (tap + 1) * cin * cout), tap * 4 * cout);
    }
    this.tensor.write(padded);
  }

  /** The values as they are stored, row-major in `shape`. */
  async read(): Promise<Float32Array<ArrayBuffer>> {
    const stored = await this.tensor.read();
    if (this.storedShape === this.shape) return stored;
    const [kh, kw, cin, cout] = this.shape as readonly [number, number, number, number];
    const values = new Float32Array(elements(this.shape));
    for (let tap = 0; tap < kh * kw; tap++) {
      values.set(stored.subarray(tap * 4 * cout, tap * 4 * cout + cin * cout), tap * cin * cout);
    }
    return values;
  }

  dispose(): void {
    this.tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** The parameters of one network, in the order in which its layers were made. Layers declare theirs when constructed. */
export class ParameterList implements Disposable {
  readonly gpu: Gpu;
  /** What the weights of convolutions are stored in, and what flows between them. */
  readonly precision: Precision;
  readonly #byName = new Map<string, Parameter>();

  constructor(gpu: Gpu, precision: Precision = 'f32') {
    this.gpu = gpu;
    this.precision = precision;
  }

  /** Declares a parameter that an optimiser may change. */
  weight(name: string, shape: Shape, precision?: Precision): Parameter {
    return this.#declare(name, shape, true, precision);
  }

  /** Declares a running statistic. */
  statistic(name: string, shape: Shape): Parameter {
    return this.#declare(name, shape, false);
  }

  get(name: string): Parameter | undefined {
    return this.#byName.get(name);
  }

  [Symbol.iterator](): Iterator<Parameter> {
    return this.#byName.values();
  }

  /** Those that an optimiser changes: neither running statistics nor frozen. */
  *learning(): Generator<Parameter> {
    for (const parameter of this) if (parameter.trainable && !parameter.frozen) yield parameter;
  }

  /**
   * Freezes every parameter whose dotted name starts with one of `prefixes` (`body.layer1`), and thaws all others.
   * @throws ArgumentError for a prefix that no name has.
   */
  freeze(prefixes: readonly string[]): void {
    const matches = (name: string, prefix: string) => name === prefix || name.startsWith(`${prefix}.`);
    for (const prefix of prefixes) {
      if ([...this.#byName.keys()].some((name) => matches(name, prefix))) continue;
      throw new ArgumentError({
        operation: 'freeze',
        expected: 'the beginning of a parameter name, up to a dot',
        got: `'${prefix}', which none of ${this.#byName.size} names has`,
        remedy: 'Names are those of the checkpoints: `body`, `body.layer1`, `fpn`, `ssh2.conv3X3`, …',
      });
    }
    for (const parameter of this) parameter.frozen = prefixes.some((prefix) => matches(parameter.name, prefix));
  }

  /** Number of trainable values. */
  get trainableCount(): number {
    let count = 0;
    for (const parameter of this) if (parameter.trainable) count += elements(parameter.shape);
    return count;
  }

  dispose(): void {
    for (const parameter of this) parameter.dispose();
    this.#byName.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #declare(name: string, shape: Shape, trainable: boolean, precision?: Precision): Parameter {
    const parameter = new Parameter(this.gpu, name, shape, trainable, precision);
    this.#byName.set(name, parameter);
    return parameter;
  }
}
