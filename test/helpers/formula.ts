/** FNV-1a, 32 bits, over the bytes of an ASCII name. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** A bijection of 32-bit integers whose every output bit depends on every input bit (MurmurHash3's finaliser). */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** The element `index` of the uniform sequence `name`: a multiple of 2^-23 in [-1, 1), exact in float32. */
function uniformAt(hash: number, index: number): number {
  return (mix((hash + Math.imul(index, 0x9e3779b9)) | 0) >>> 8) / 2 ** 23 - 1;
}

/** How a parameter of this name and shape is made of u in [-1, 1): `offset + scale · u`. */
function recipe(name: string, shape: readonly number[]): { offset: number; scale: number } {
  if (name.endsWith('.weight') && shape.length === 4) {
    const gain = name.endsWith('conv1x1.weight') ? 0.25 : 1;
    const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
    return { offset: 0, scale: Math.sqrt(6 / fanIn) * gain };
  }
  if (name.endsWith('bn3.weight')) return { offset: 0.2, scale: 0.02 };
  if (name.endsWith('.weight')) return { offset: 1, scale: 0.1 };
  if (name.endsWith('.bias') || name.endsWith('.running_mean')) return { offset: 0, scale: 0.1 };
  if (name.endsWith('.running_var')) return { offset: 1, scale: 0.2 };
  return { offset: 0, scale: 1 };
}

/**
 * A tensor that is a function of its name and shape alone, so that a network's weights need no file; `formula.py` beside
 * the goldens makes the same bits. Only integer arithmetic and correctly rounded float64 operations (+, ·, /, √) are used,
 * then one rounding to float32: two IEEE machines cannot differ.
 *
 * The kind of parameter is read from a PyTorch name: convolution weights are O, I/groups, H, W and uniform with He's
 * variance 2 / fan_in (a quarter of that range in the heads, `conv1x1`); batch-norm scales lie around 1, but around 0.2 in
 * `bn3`, the last of a bottleneck, so that fifty layers keep activations around 1; biases and running means lie within
 * ±0.1, running variances within 1 ± 0.2. Any other name, such as `input`, gives u in [-1, 1).
 */
export function formulaTensor(name: string, shape: readonly number[]): Float32Array {
  const { offset, scale } = recipe(name, shape);
  const hash = hashName(name);
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  for (let i = 0; i < values.length; i++) values[i] = offset + scale * uniformAt(hash, i);
  return values;
}
