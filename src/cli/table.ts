import { extname } from 'node:path';
import { variantJson, variantRows, variantTable } from '../evaluate/variants.js';
import { ArgumentError } from '../gpu/errors.js';
import { drawTable, tableMarkdown } from '../image/table.js';
import { writeImage } from '../node/files.js';
import { readRunFolder } from '../node/run_folder.js';
import { type Command, EXIT, parse } from './command.js';

/** `retinaface table`. */
export const table: Command = {
  help: `retinaface table RUN… [options]

Trainings as rows of the report's Table 2: average precision (easy, medium, hard) of each variant beside the report's and
the original's, with epochs, batch, seeds, adapter and images a second. Markdown on stdout.

  RUN…               folders that \`retinaface train --workdir RUN\` wrote. A run takes its figures from RUN/evaluation,
                     which is written by \`retinaface evaluate --weights RUN/best.safetensors --out RUN/evaluation …\`
  --out FILE         the table as a picture too, .png or .jpg
  --json             JSON on stdout instead, {"rows":[…]} with every run
  --quiet            no words on stderr but errors

Runs that differ by --seed alone are one row: mean ± standard deviation, n of them. A run without evaluation has dashes.
An evaluation of other weights than those in the folder is an error, as are a damaged log and a folder of no training.
`,
  async run(args) {
    const { values, positionals } = parse('table', args, {
      out: { type: 'string' },
      json: { type: 'boolean' },
      quiet: { type: 'boolean' },
    });
    const { out } = values;
    const usage = (expected: string, got: string, remedy: string): ArgumentError =>
      new ArgumentError({ operation: 'table', expected, got, remedy });
    if (positionals.length === 0) throw usage('folders of trainings', 'none', 'Write `retinaface table run1 run2`.');
    if (out !== undefined && !['.png', '.jpg', '.jpeg'].includes(extname(out).toLowerCase())) {
      throw usage('--out to end in .png, .jpg or .jpeg', `'${out}'`, 'Name a picture.');
    }
    const runs = [];
    for (const folder of positionals) runs.push(await readRunFolder(folder));
    const rows = variantRows(runs);
    const texts = variantTable(rows);
    if (out !== undefined) {
      await writeImage(out, drawTable({ title: 'RetinaFace on WIDER FACE: Table 2 of the report', ...texts }));
      if (values.quiet !== true) process.stderr.write(`${out} is written\n`);
    }
    process.stdout.write(values.json ? `${JSON.stringify({ rows: variantJson(rows) })}\n` : tableMarkdown(texts));
    return EXIT.done;
  },
};
