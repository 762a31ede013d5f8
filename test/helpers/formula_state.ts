import type { Gpu } from '../../src/gpu/gpu.js';
import { type ConfigurationName, configurations } from '../../src/retinaface/config.js';
import { Network } from '../../src/retinaface/network.js';
import type { StateTensor } from '../../src/weights/state.js';
import { formulaTensor } from './formula.js';

/** Weights by formula for every parameter of a configuration, in PyTorch's layout. */
export function formulaState(gpu: Gpu, name: ConfigurationName): Map<string, StateTensor> {
  const network = new Network(gpu, configurations[name]);
  const state = new Map<string, StateTensor>();
  for (const { name: parameter, shape } of network.parameters) {
    const [kh, kw, cin, cout] = shape;
    const torch = shape.length === 4 ? [cout!, cin!, kh!, kw!] : [...shape];
    state.set(parameter, { shape: torch, data: formulaTensor(parameter, torch) });
  }
  network.dispose();
  return state;
}
