import type { StateDict, StateTensor } from '../weights/state.js';

type Variances = readonly [centre: number, size: number];

const HEAD = /^(?:cascade\.)?(BboxHead|LandmarkHead)\.\d+\.conv1x1\.(?:weight|bias)$/;

/**
 * The same network in other box codes. A code times its variance is what is decoded, and the last layer of box and landmark
 * heads is linear: its rows times `from` / `to` mean the same faces. Names and layout are PyTorch's, one row an output channel:
 * x, y, w, h of each anchor, or x and y of its five landmarks. Tensors under other names are passed on as they are.
 */
export function recodeBoxes(tensors: StateDict, from: Variances, to: Variances): StateDict {
  const [centre, size] = [from[0] / to[0], from[1] / to[1]];
  return new Map(
    [...tensors].map(([name, tensor]): [string, StateTensor] => {
      const kind = HEAD.exec(name)?.[1];
      if (!kind) return [name, tensor];
      const perRow = tensor.data.length / tensor.shape[0]!;
      const data = tensor.data.map((value, i) => {
        const isSize = kind === 'BboxHead' && Math.floor(i / perRow) % 4 >= 2;
        return value * (isSize ? size : centre);
      });
      return [name, { shape: tensor.shape, data }];
    }),
  );
}
