/**
 * By the names of computations, the ways that measuring found fastest on a device, in place of the rules. Another way sums in
 * another order, so that the last bits of a result differ.
 */
export type Choices = ReadonlyMap<string, string>;

/** A computation that has several ways: what each is computed with tells it from others. */
export interface Choice {
  readonly key: string;
  /** What the room that encodes it needs to encode it again. */
  readonly computation: object;
}
