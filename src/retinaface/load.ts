import { WeightsError } from '../gpu/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Precision } from '../nn/parameter.js';
import { recogniseBackbone, recogniseConfiguration, recogniseWidth } from '../weights/recognise.js';
import type { StateDict } from '../weights/state.js';
import { type Configuration, configurations, narrowed } from './config.js';
import { completeConfiguration, type GivenConfiguration } from './given_configuration.js';
import { Network } from './network.js';
import { stateShapes, writeNetworkState } from './network_state.js';

/** How tensors become a network. */
export interface NetworkOptions {
  /** The network's configuration; recognised from the tensors without it. */
  readonly wanted?: Configuration | undefined;
  /** What changes a recognised configuration. */
  readonly given?: GivenConfiguration | undefined;
  readonly precision?: Precision | undefined;
  readonly onWritten?: (done: number, total: number) => void;
}

/**
 * A network with these tensors, under our parameter names and in PyTorch's layout. `source` is what errors call them.
 * @throws WeightsError for a backbone alone, and for tensors of another network.
 */
export function networkOf(gpu: Gpu, tensors: StateDict, source: string, options: NetworkOptions): Network {
  const backbone = recogniseBackbone(tensors);
  if (backbone) {
    throw new WeightsError({
      operation: `load weights from ${source}`,
      expected: `weights of ${Object.keys(configurations).join(', ')}`,
      got: `a ${backbone}, which has no detector`,
      remedy: 'Start a training from it, `retinaface train --init`, or pass a RetinaFace checkpoint.',
    });
  }
  const network = new Network(gpu, configurationOf(gpu, tensors, source, options), options.precision);
  try {
    const { onWritten } = options;
    writeNetworkState(network, tensors, source, onWritten ? { onWritten } : {});
  } catch (error) {
    network.dispose();
    throw error;
  }
  return network;
}

function configurationOf(gpu: Gpu, tensors: StateDict, source: string, options: NetworkOptions): Configuration {
  const { wanted, given } = options;
  if (wanted) return wanted;
  const name = recogniseConfiguration(tensors);
  if (name) {
    const recognised = narrowed(configurations[name], recogniseWidth(tensors));
    return given ? completeConfiguration(given, recognised, source) : recognised;
  }
  throw new WeightsError({
    operation: `load weights from ${source}`,
    expected: `weights of ${Object.keys(configurations).join(', ')}`,
    got: `${tensors.size} tensors of another network${differences(gpu, tensors)}`,
    remedy: 'Pass a RetinaFace checkpoint, or name the configuration that the file belongs to.',
  });
}

/** The configuration that these tensors resemble most, and the first tensors by which they differ from it. */
function differences(gpu: Gpu, tensors: StateDict): string {
  const known = Object.values(configurations).map((configuration) => ({
    name: configuration.name,
    shapes: shapesOf(gpu, configuration),
  }));
  const common = (shapes: ReadonlyMap<string, unknown>): number =>
    [...shapes.keys()].filter((name) => tensors.has(name)).length;
  const nearest = known.reduce((best, other) => (common(other.shapes) > common(best.shapes) ? other : best));
  const names = [...nearest.shapes.keys()];
  if (common(nearest.shapes) === 0) {
    const [first] = tensors.keys();
    return first === undefined ? '' : `, none of whose names is known; the first is ${first}`;
  }
  const first = (what: string, name: string | undefined): string =>
    name === undefined ? '' : `; first ${what}: ${name}`;
  const misshapen = names.find((name) => tensors.get(name)?.shape.join() !== nearest.shapes.get(name)?.join());
  const missing = names.find((name) => !tensors.has(name));
  const unexpected = [...tensors.keys()].find((name) => !nearest.shapes.has(name));
  const shape = (list: readonly number[] | undefined): string => `[${list?.join(', ') ?? ''}]`;
  const other =
    missing === undefined && misshapen !== undefined
      ? `${misshapen} ${shape(tensors.get(misshapen)?.shape)} instead of ${shape(nearest.shapes.get(misshapen))}`
      : undefined;
  return (
    `, nearest to ${nearest.name}` +
    first('missing', missing) +
    first('unexpected', unexpected) +
    first('of another shape', other)
  );
}

/** The names and PyTorch-layout shapes of a configuration's parameters; nothing is allocated for them. */
function shapesOf(gpu: Gpu, configuration: Configuration): ReadonlyMap<string, readonly number[]> {
  let shapes = new Map<string, readonly number[]>();
  gpu.rehearse(() => {
    const network = new Network(gpu, configuration);
    shapes = stateShapes(network);
    network.dispose();
  });
  return shapes;
}
