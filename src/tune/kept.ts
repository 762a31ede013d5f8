import type { Choices } from '../gpu/choices.js';
import type { Gpu } from '../gpu/gpu.js';
import { kernelsVersion } from '../gpu/kernel_table.js';

/** Choices as they are kept: with what they were measured on, since they hold for nothing else. */
interface Kept {
  readonly format: 1;
  readonly adapter: string;
  readonly kernels: string;
  readonly choices: Readonly<Record<string, string>>;
}

/** The adapter and its driver, as the browser or Dawn name them. */
export function adapterName({ info: { vendor, architecture, device, description } }: Gpu): string {
  return [vendor, architecture, device, description].join(' | ');
}

/** A short name under which the choices of an adapter are kept. */
export function keptName(gpu: Gpu): string {
  return `tuning-${hash(adapterName(gpu))}`;
}

/** Choices as the text that is kept. */
export function encodeChoices(gpu: Gpu, choices: Choices): string {
  const kept: Kept = {
    format: 1,
    adapter: adapterName(gpu),
    kernels: kernelsVersion,
    choices: Object.fromEntries([...choices].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  return `${JSON.stringify(kept, null, 2)}\n`;
}

/**
 * The choices of a kept text, or why they do not hold: of another adapter, driver or version of the kernels, or damaged. They
 * only make things faster, so that without them everything works.
 */
export function decodeChoices(gpu: Gpu, text: string): Choices | string {
  let kept: unknown;
  try {
    kept = JSON.parse(text);
  } catch {
    return 'damaged';
  }
  if (typeof kept !== 'object' || kept === null) return 'damaged';
  const { format, adapter, kernels: version, choices } = kept as Partial<Record<keyof Kept, unknown>>;
  if (format !== 1 || typeof choices !== 'object' || choices === null) return 'damaged';
  if (adapter !== adapterName(gpu)) return `measured on ${String(adapter)}`;
  if (version !== kernelsVersion) return 'measured with other kernels';
  const entries = Object.entries(choices as Record<string, unknown>);
  const isWay = (entry: [string, unknown]): entry is [string, string] => typeof entry[1] === 'string';
  return entries.every(isWay) ? new Map(entries) : 'damaged';
}

/** 53 bits of a text: enough to tell adapters apart, not to withstand anyone. */
function hash(text: string): string {
  let [low, high] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    low = Math.imul(low ^ code, 0x9e3779b1);
    high = Math.imul(high ^ code, 0x5f356495);
  }
  const mixed = 2 ** 21 * ((low ^ (high >>> 13)) >>> 0) + ((high ^ (low >>> 15)) >>> 11);
  return mixed.toString(16).padStart(14, '0');
}
