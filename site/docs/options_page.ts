// The guide to all options, from the tables of the commands and the docstrings of the library's own.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import type { Command } from '../../src/cli/command.js';
import { COMMANDS } from '../../src/cli/commands.js';
import { nameOf } from '../../src/cli/options.js';

/** Interfaces of options, by what takes them: their names with the files below src/ that have them. */
const INTERFACES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'requestDevice(options)': { DeviceOptions: 'gpu/device.ts' },
  'requestDevice(options) in Node, also': { NodeDeviceOptions: 'node/device.ts' },
  'RetinaFace.create(options)': { CreateOptions: 'retinaface/retinaface.ts' },
  'new RetinaFace(device, configuration)': {
    Configuration: 'retinaface/config.ts',
    GivenConfiguration: 'retinaface/given_configuration.ts',
  },
  'new RetinaFace(device, configuration, options)': { ModelOptions: 'retinaface/retinaface.ts' },
  'model.load(source, options)': { LoadOptions: 'retinaface/retinaface.ts' },
  'model.detect(picture, options)': { DetectOptions: 'retinaface/detect_options.ts' },
  'new FaceTracker(model, options)': { TrackerOptions: 'retinaface/face_tracker.ts' },
  'tracker.next(frame, options)': { FrameOptions: 'retinaface/face_tracker.ts' },
  'extractFaces(picture, faces, options)': { ExtractOptions: 'image/extract.ts' },
  'tune(device, compute, options)': { TuneOptions: 'tune/tune.ts' },
  'new Trainer(model, options)': { TrainerOptions: 'train/trainer.ts', SgdOptions: 'train/sgd.ts' },
  'multiboxLoss(…, options)': {
    LossOptions: 'retinaface/loss.ts',
    MatchOptions: 'detect/match.ts',
    HardNegativeOptions: 'detect/hard_negatives.ts',
  },
  'augmentBatch(…, options)': { AugmentOptions: 'data/augment.ts' },
  'syntheticScene(…, options)': { SyntheticOptions: 'data/synthetic.ts' },
  'evaluateModel(…, options)': {
    SearchOptions: 'evaluate/evaluate_model.ts',
    AveragePrecisionOptions: 'evaluate/average_precision.ts',
  },
};

const source = (file: string): string => fileURLToPath(new URL(`../../src/${file}`, import.meta.url));

/** Text as Markdown that says the same: what stands between backticks is left alone. */
const plain = (text: string): string =>
  text.replace(/`[^`]*`|[*_<]/g, (part) => (part.startsWith('`') ? part : `\\${part}`));

/** Text for a cell of a table: one line, with nothing that ends the cell. */
const cell = (text: string): string => plain(text.replace(/\s+/g, ' ').trim()).replaceAll('|', '\\|');

function rows(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + body.map((cells) => line(cells.map(cell))).join('');
}

function commandPart(name: string, { about, options }: Command): string {
  const all = Object.entries(options);
  const body = all.map(([key, option]) => {
    const { value, takes, isSwitch, repeats, shownDefault, help } = option;
    const written = `\`${nameOf(key, option)}${value === undefined ? '' : ` ${value}`}\``;
    const values = isSwitch ? 'a switch' : (takes ?? '');
    return [written, repeats ? `${values} (again and again)`.trim() : values, shownDefault ?? '', help];
  });
  const listed = all.length === 0 ? '' : `\n${rows(['option', 'takes', 'default', 'what it does'], body)}`;
  return `### \`retinaface ${name}\`\n\n${plain(about.trim())}\n${listed}`;
}

/** Each property of an interface with its type and what its docstring says. @throws Error where there is none of that name. */
function membersOf(name: string, file: string): readonly (readonly string[])[] {
  const parsed = ts.createSourceFile(file, readFileSync(source(file), 'utf8'), ts.ScriptTarget.ES2022, true);
  const found = parsed.statements.find(
    (statement): statement is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  );
  if (!found) throw new Error(`src/${file} has no interface ${name}`);
  return found.members.filter(ts.isPropertySignature).map((member) => {
    const said = ts
      .getJSDocCommentsAndTags(member)
      .map((doc) => ts.getTextOfJSDocComment(doc.comment) ?? '')
      .join(' ');
    return [`\`${member.name.getText()}\``, `\`${member.type?.getText() ?? ''}\``, said];
  });
}

function callPart([call, interfaces]: readonly [string, Readonly<Record<string, string>>]): string {
  const body = Object.entries(interfaces).flatMap(([name, file]) => membersOf(name, file));
  return `### \`${call}\`\n\n${rows(['option', 'type', 'what it does, its range and default'], body)}`;
}

/** The whole page. */
export function optionsPage(): string {
  return [
    '# Every option\n\nWritten by `npm run docs` from the tables and docstrings in the code. Do not edit.\n',
    '## In programs\n',
    ...Object.entries(INTERFACES).map(callPart),
    '## On the command line\n',
    ...Object.entries(COMMANDS).map(([name, command]) => commandPart(name, command)),
  ].join('\n');
}
