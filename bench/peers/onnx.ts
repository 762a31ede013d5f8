// A writer of ONNX models: as much of the protobuf format as a network of convolutions needs
// (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

/** One operation; `ints` are its attributes. */
export interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly ints?: Readonly<Record<string, readonly number[]>>;
}

/** A float32 constant of the graph, in row-major order. */
export interface Constant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A graph of one input and one output, float32, NCHW. */
export interface Graph {
  readonly nodes: readonly Node[];
  readonly constants: readonly Constant[];
  readonly input: { readonly name: string; readonly shape: readonly number[] };
  readonly output: { readonly name: string; readonly shape: readonly number[] };
}

const FLOAT = 1;
const ATTRIBUTE_INTS = 7;
const IR_VERSION = 8;
const OPSET = 13;

type Part = Uint8Array;

function varint(value: number): Part {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push((rest % 128) | (rest >= 128 ? 128 : 0));
    if (rest < 128) return Uint8Array.from(bytes);
  }
}

const number = (field: number, value: number): Part => Buffer.concat([varint(field * 8), varint(value)]);

function bytes(field: number, ...content: readonly Part[]): Part {
  const length = content.reduce((total, part) => total + part.length, 0);
  return Buffer.concat([varint(field * 8 + 2), varint(length), ...content]);
}

const text = (field: number, value: string): Part => bytes(field, Buffer.from(value, 'utf8'));

function tensor({ name, shape, data }: Constant): Part[] {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return [...shape.map((size) => number(1, size)), number(2, FLOAT), text(8, name), bytes(9, raw)];
}

function node({ op, inputs, output, ints = {} }: Node): Part[] {
  const attributes = Object.entries(ints).map(([name, values]) =>
    bytes(5, text(1, name), ...values.map((value) => number(8, value)), number(20, ATTRIBUTE_INTS)),
  );
  return [...inputs.map((name) => text(1, name)), text(2, output), text(3, output), text(4, op), ...attributes];
}

function value({ name, shape }: Graph['input']): Part[] {
  const sizes = bytes(2, ...shape.map((size) => bytes(1, number(1, size))));
  return [text(1, name), bytes(2, bytes(1, number(1, FLOAT), sizes))];
}

/** The bytes of an .onnx file. */
export function encodeOnnx(graph: Graph): Uint8Array {
  return Buffer.concat([
    number(1, IR_VERSION),
    text(2, 'retinaface-webgpu'),
    bytes(
      7,
      ...graph.nodes.map((each) => bytes(1, ...node(each))),
      text(2, 'peer'),
      ...graph.constants.map((each) => bytes(5, ...tensor(each))),
      bytes(11, ...value(graph.input)),
      bytes(12, ...value(graph.output)),
    ),
    bytes(8, text(1, ''), number(2, OPSET)),
  ]);
}
