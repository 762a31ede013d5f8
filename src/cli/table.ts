import { extname } from 'node:path';
import { variantJson, variantRows, variantTable } from '../evaluate/variants.js';
import { drawTable, tableMarkdown } from '../image/table.js';
import { writeImage } from '../node/files.js';
import { readRunFolder } from '../node/run_folder.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { flag, parsed, wrong } from './options.js';

/** `retinaface table`. */
export const table: Command = defineCommand({
  name: 'table',
  usage: 'RUN… [options]',
  about: `Trainings as rows of the report's Table 2: average precision (easy, medium, hard) of each variant beside the report's and
the original's, with epochs, batch, seeds, adapter and images a second. Markdown on stdout.

RUN… are folders that \`retinaface train --workdir RUN\` wrote. A run takes its figures from RUN/evaluation, which is
written by \`retinaface evaluate --weights RUN/best.safetensors --out RUN/evaluation …\``,
  options: {
    out: parsed(pictureOption, { value: 'FILE', help: 'the table as a picture too, .png or .jpg' }),
    json: flag({ help: 'JSON on stdout instead, {"rows":[…]} with every run' }),
    quiet: flag({ help: 'no words on stderr but errors' }),
  },
  notes: `Runs that differ by --seed alone are one row: mean ± standard deviation, n of them. A run without evaluation has dashes.
An evaluation of other weights than those in the folder is an error, as are a damaged log and a folder of no training.`,
  words: true,
  async run({ out, json, quiet }, folders) {
    if (folders.length === 0)
      throw wrong('table', 'folders of trainings', 'none', 'Write `retinaface table run1 run2`.');
    const runs = [];
    for (const folder of folders) runs.push(await readRunFolder(folder));
    const rows = variantRows(runs);
    const texts = variantTable(rows);
    if (out !== undefined) {
      await writeImage(out, drawTable({ title: 'RetinaFace on WIDER FACE: Table 2 of the report', ...texts }));
      if (!quiet) process.stderr.write(`${out} is written\n`);
    }
    process.stdout.write(json ? `${JSON.stringify({ rows: variantJson(rows) })}\n` : tableMarkdown(texts));
    return EXIT.done;
  },
});

function pictureOption(given: string, command: string, name: string): string {
  if (['.png', '.jpg', '.jpeg'].includes(extname(given).toLowerCase())) return given;
  throw wrong(command, `${name} to end in .png, .jpg or .jpeg`, `'${given}'`, 'Name a picture.');
}
