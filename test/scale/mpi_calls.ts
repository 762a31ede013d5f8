// Started three times by mpirun: what ranks exchange, as JSON on stdout.
import { MpiRanks } from '../../src/scale/mpi.js';
import { OrderedSum } from '../../src/train/ranks.js';

const ranks = await MpiRanks.join('test');
const { rank, size } = ranks;
const gathered = await ranks.gather(new Uint8Array(rank).fill(rank));
// The second piece is empty.
const exchanged = await ranks.exchange(Uint8Array.of(10 * rank, 10 * rank + 1, 10 * rank + 2), [0, 1, 1, 3]);
const large = new Uint8Array(3_000_000).fill(7);
const received = await ranks.broadcast(rank === 0 ? large : new Uint8Array(1));
const sum = new OrderedSum(ranks, 1_000_003);
for (const round of [0, 1]) await sum.add(new Float32Array(1_000_003).fill(1 / (3 + rank + 10 * round)));
const total = await sum.end();
// Calls that were not waited for keep their order.
const both = await Promise.all([ranks.gather(Uint8Array.of(rank)), ranks.gather(Uint8Array.of(rank + 100))]);
const plain = (pieces: readonly Uint8Array[]) => pieces.map((piece) => [...piece]);
const answer = {
  rank,
  size,
  gathered: plain(gathered),
  exchanged: plain(exchanged),
  received: Buffer.compare(received, large),
  sums: [...new Set(total)],
  both: both.map(plain),
};
process.stdout.write(`${JSON.stringify(answer)}\n`);
await ranks.end();
process.exit(0);
