import { mix32 } from './random.js';

/** What a run says of the rule by which pictures are kept out. */
export const HOLDOUT_RULE = 'mix32(fnv1a32(name)) / 2^32 < share';

/** FNV-1a with 32 bits (Fowler, Noll and Vo) of the text's UTF-8 bytes. */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/**
 * Where a picture stands among all, by its name as the labels spell it: 0 up to, not including, 1. Neither the other pictures nor their
 * order matter, so that a picture kept out stays out when labels are sorted, added or taken away. FNV-1a alone would put names that
 * differ in their last letter close together; `mix32` spreads them.
 */
export function holdoutPlace(name: string): number {
  return mix32(fnv1a32(name)) / 2 ** 32;
}

/** Whether a picture is kept out of training where a share (0 to 1) of all is; what a smaller share keeps out, a larger one does. */
export function isHeldOut(name: string, share: number): boolean {
  return holdoutPlace(name) < share;
}
