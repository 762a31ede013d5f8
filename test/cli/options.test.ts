// One table of options a command: what help prints, what is read, and what a slip is told.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { defineCommand, parse } from '../../src/cli/command.js';
import { convert } from '../../src/cli/convert.js';
import { detect } from '../../src/cli/detect.js';
import { doctor } from '../../src/cli/doctor.js';
import { evaluate } from '../../src/cli/evaluate.js';
import { flag, listOf, number, offFlag, oneOf, text, texts, whole } from '../../src/cli/options.js';
import { reproduce } from '../../src/cli/reproduce.js';
import { table } from '../../src/cli/table.js';
import { train } from '../../src/cli/train.js';
import { ArgumentError } from '../../src/gpu/errors.js';

const TABLE = {
  folder: text({ value: 'DIR', help: 'where' }),
  maxFaces: whole({ value: 'N', min: 1, fallback: 750, help: 'at most so many' }),
  score: number({ value: 'S', min: 0, max: 1, help: 'least' }),
  clipNorm: number({ flag: 'clip', value: 'NORM', min: 0, help: 'longest' }),
  loss: oneOf(['report', 'paper'], { value: 'NAME', fallback: 'report', help: 'of what' }),
  names: listOf((each) => each, { heading: 'More:', value: 'A,B', help: 'some' }),
  merge: texts({ value: 'DIR', help: 'several' }),
  quiet: flag({ help: 'no words' }),
  augment: offFlag({ flag: 'no-augment', help: 'as they are' }),
};

test('what is not given has its default, what is given its type', () => {
  assert.deepEqual(parse('x', [], TABLE), {
    values: {
      folder: undefined,
      maxFaces: 750,
      score: undefined,
      clipNorm: undefined,
      loss: 'report',
      names: undefined,
      merge: undefined,
      quiet: false,
      augment: true,
    },
    words: [],
  });
  const args = '--max-faces 3 --score=0.5 --clip 2 --names a,b --merge p --merge q --no-augment --quiet u -- --v'.split(
    ' ',
  );
  const { values, words } = parse('x', args, TABLE);
  assert.deepEqual(
    [values.maxFaces, values.score, values.clipNorm, values.names, values.merge, values.quiet, values.augment],
    [3, 0.5, 2, ['a', 'b'], ['p', 'q'], true, false],
  );
  assert.deepEqual(words, ['u', '--v']);
});

test('a slip is told what was expected, and what was meant where that is near', () => {
  const slips: readonly (readonly [args: string, message: RegExp])[] = [
    ['--max-face 3', /--max-face\. Did you mean --max-faces\?/],
    ['--sorce 1', /--sorce\. Did you mean --score\?/],
    ['--paint red', /got --paint\. Correct/],
    ['--quite=1', /got --quite\. Did you mean --quiet\?/],
    ['-dash.png', /got -dash\.png\. Write \.\/-dash\.png where/],
    ['--quiet=1', /got a value behind --quiet\. Write --quiet alone/],
    ['--folder', /got --folder without DIR\. Write --folder DIR/],
    ['--folder --quiet', /got --folder without DIR\. Write --folder DIR, or --folder=DIR where/],
    ['--max-faces 0', /x: expected --max-faces to be a whole number of at least 1, got '0'/],
    ['--max-faces 1.5', /whole number/],
    ['--max-faces=', /got ''/],
    ['--score 2', /at least 0 and at most 1, got '2'/],
    ['--loss mine', /--loss to be one of report, paper, got 'mine'/],
    ['--folder=', /--folder to be DIR, got an empty one/],
    ['--folder', /--folder/],
    ['--quiet=yes', /--quiet/],
  ];
  for (const [args, message] of slips) {
    assert.throws(
      () => parse('x', args.split(' '), TABLE),
      (error) => error instanceof ArgumentError && message.test(error.message),
      args,
    );
  }
});

test('help has every option, its value, its default and the parts of the table', () => {
  const { help } = defineCommand({
    name: 'x',
    usage: 'FILE',
    about: 'Does something.',
    options: TABLE,
    notes: 'That is all.',
    run: () => Promise.resolve(0),
  });
  assert.match(
    help,
    /^retinaface x FILE\n\nDoes something\.\n\n {2}--folder DIR {3}where\n {2}--max-faces N {2}at most so many \(750\)\n/,
  );
  assert.match(help, /\n\nMore:\n {2}--names A,B {4}some/);
  assert.match(help, /\n\nThat is all\.\n$/);
});

test('words beside options are an error where a command takes none', async () => {
  const command = defineCommand({ name: 'x', usage: '', about: '', options: TABLE, run: () => Promise.resolve(0) });
  await assert.rejects(command.run(['--quiet', 'away']), /expected options alone, got 'away'/);
  await assert.rejects(train.run(['--config', 'baseline', '--workdir', 'w', '--synthetic', '3', 'away']), /got 'away'/);
});

test('no help has a line that a terminal of 120 columns would break', () => {
  for (const { help } of [convert, detect, doctor, evaluate, reproduce, table, train]) {
    for (const line of help.split('\n')) assert.ok(line.length <= 122, line);
  }
});

test('weights to compare with nothing to evaluate on are refused, not ignored', async () => {
  const given = ['--config', 'baseline', '--workdir', '/proc/retinaface', '--compare', 'synthetic'];
  const labels = ['--images', 'photos', '--labels', 'faces.jsonl'];
  await assert.rejects(train.run([...given, ...labels]), /--compare.*got labels without --holdout/);
  await assert.rejects(train.run([...given, ...labels, '--synthetic', '9']), /--compare.*got labels without --holdout/);
  await assert.rejects(train.run([...given, '--synthetic', '9', '--evaluate', '0']), /--compare.*got --evaluate 0/);
});

test('a training reads --config before anything else, be it a name or a file, and its help says both', async () => {
  const given = ['--workdir', '/proc/retinaface', '--labels', 'none.jsonl', '--images', 'none'];
  await assert.rejects(train.run([...given, '--config', 'contxt']), /one of baseline, /);
  await assert.rejects(train.run([...given, '--config', 'none.json']), /train --config from none\.json/);
  assert.match(train.help, /--config NAME\|FILE/);
});

test.run();
