import { matchState } from '../weights/match.js';
import { hwioToOihw, oihwToHwio, type StateDict, type StateTensor } from '../weights/state.js';
import type { Network } from './network.js';

/** Our `[kh, kw, cin, cout]` as PyTorch's `[cout, cin, kh, kw]`; vectors as they are. */
function oihwShape(shape: readonly number[]): readonly number[] {
  const [kh, kw, cin, cout] = shape;
  return shape.length === 4 ? [cout!, cin!, kh!, kw!] : shape;
}

/** The PyTorch-layout shape of each of a network's parameters, by its name. */
export function stateShapes(network: Network): Map<string, readonly number[]> {
  return new Map([...network.parameters].map((p) => [p.name, oihwShape(p.shape)]));
}

/**
 * Writes tensors, under our parameter names and in PyTorch's layout, into a network. All is checked before anything is
 * written. With `allowMissing` parameters that the file lacks stay as they are (a backbone alone, say).
 * @throws WeightsError that lists what is missing, extra, misshapen or not finite.
 */
export function writeNetworkState(
  network: Network,
  tensors: StateDict,
  source: string,
  options: { readonly allowMissing?: boolean; readonly onWritten?: (done: number, total: number) => void } = {},
): void {
  const expected = stateShapes(network);
  matchState(tensors, expected, source, options);
  let done = 0;
  for (const parameter of network.parameters) {
    const tensor = tensors.get(parameter.name);
    if (tensor) parameter.write(tensor.shape.length === 4 ? oihwToHwio(tensor.data, tensor.shape).data : tensor.data);
    options.onWritten?.(++done, expected.size);
  }
  network.fold();
}

/** The parameters as they are on the device, under their names, in PyTorch's layout: what `writeSafetensors` takes. */
export async function readNetworkState(network: Network): Promise<StateDict> {
  const parameters = [...network.parameters];
  const values = await Promise.all(parameters.map((parameter) => parameter.read()));
  return new Map(
    parameters.map(({ name, shape }, index): [string, StateTensor] => {
      const data = values[index]!;
      return [name, shape.length === 4 ? hwioToOihw(data, shape) : { shape, data }];
    }),
  );
}
