import assert from 'node:assert/strict';
import type { Ranks } from '../../src/train/ranks.js';

/** One call of all ranks: what each gave, and who waits for the last of them. */
interface Meeting {
  readonly kind: string;
  readonly given: (Uint8Array | undefined)[];
  readonly all: Promise<void>;
  readonly complete: () => void;
}

/** Ranks of one process, for tests: each is given to one `async` function, and all of these run side by side. */
export function localRanks(size: number): readonly Ranks[] {
  const meetings: Meeting[] = [];
  const calls = Array.from({ length: size }, () => 0);
  const meet = async (kind: string, rank: number, bytes: Uint8Array): Promise<readonly Uint8Array[]> => {
    const number = calls[rank]!++;
    const meeting = (meetings[number] ??= meetingOf(kind, size));
    assert.equal(kind, meeting.kind, 'all ranks make the same calls in the same order');
    meeting.given[rank] = bytes.slice();
    if (!meeting.given.includes(undefined)) meeting.complete();
    await meeting.all;
    return meeting.given as readonly Uint8Array[];
  };
  return Array.from({ length: size }, (_, rank) => ({
    rank,
    size,
    async exchange(bytes, bounds) {
      assert.equal(bounds.length, size + 1);
      assert.equal(bounds.at(-1), bytes.length);
      const all = await meet(`exchange ${bounds.join(' ')}`, rank, bytes);
      return all.map((each) => each.slice(bounds[rank], bounds[rank + 1]));
    },
    gather: (bytes) => meet('gather', rank, bytes),
    broadcast: async (bytes) => (await meet('broadcast', rank, bytes))[0]!,
  }));
}

function meetingOf(kind: string, size: number): Meeting {
  let complete = (): void => undefined;
  const all = new Promise<void>((resolve) => {
    complete = resolve;
  });
  return { kind, given: Array.from({ length: size }, () => undefined), all, complete };
}
