import { once } from 'node:events';
import { writeFileAtomic } from '../node/files.js';
import { openMerge } from '../scale/batch_folder.js';
import { hasResults, mergeResults } from '../scale/result_file.js';
import { defineCommand, EXIT, type Command } from './command.js';
import { text, wrong } from './options.js';

/** `retinaface merge`. */
export const merge: Command = defineCommand({
  name: 'merge',
  usage: '[options] DIR…',
  about: `Joins what \`detect --out\` wrote, all shards of one job, into one file of JSON lines in the order of the list: of folders
that --out named, or of shards themselves. Nothing is written unless all shards are there, complete and unchanged, of one
list, with the same options and weights. Of folders that \`work --out\` wrote: the answers of all workers, one of each job,
in the order of their ids.`,
  options: {
    out: text({ value: 'FILE', help: 'write there, whole or not at all (without: to stdout)' }),
  },
  words: true,
  async run({ out }, folders) {
    if (folders.length === 0) throw wrong('merge', 'folders', 'none', 'Name those that `detect --out` wrote.');
    if (await hasResults(folders[0]!)) return mergeWorkers(folders, out);
    const merged = await openMerge(folders);
    if (out !== undefined) await writeFileAtomic(out, merged.parts(), { durable: true });
    else {
      // A reader of stdout could not tell half of it from all of it: first everything is looked at.
      await merged.check();
      for await (const part of merged.parts()) {
        if (!process.stdout.write(part)) await once(process.stdout, 'drain');
      }
    }
    const failed = merged.failed > 0 ? `; ${count(merged.failed)} of them failed` : '';
    process.stderr.write(`${count(merged.pictures)} pictures of ${count(merged.shards)} shards${failed}\n`);
    return EXIT.done;
  },
});

const count = (n: number): string => n.toLocaleString('en');

async function mergeWorkers(folders: readonly string[], out: string | undefined): Promise<number> {
  const { lines, repeated, different } = await mergeResults(folders);
  const text = lines.map((line) => `${line}\n`).join('');
  if (out !== undefined) await writeFileAtomic(out, new TextEncoder().encode(text), { durable: true });
  else if (!process.stdout.write(text)) await once(process.stdout, 'drain');
  const again = repeated > 0 ? `, ${count(repeated)} more than once` : '';
  process.stderr.write(`${count(lines.length)} answers${again}\n`);
  if (different.length > 0) {
    const some = different.slice(0, 5).join(', ');
    process.stderr.write(
      `answers of ${count(different.length)} differ between workers, the first one counts: ${some}\n`,
    );
  }
  return EXIT.done;
}
