// `retinaface weights`, and what --weights and --config take.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import { EXIT } from '../../src/cli/command.js';
import { readConfiguration, readWeightsOption, wholeConfiguration } from '../../src/cli/model_options.js';
import { weights } from '../../src/cli/weights.js';
import { weightsStore } from '../../src/node/weights_store.js';
import { configurations } from '../../src/retinaface/config.js';
import { namedWeights } from '../../src/retinaface/weights_source.js';
import { PUBLIC_WEIGHTS } from '../../src/weights/catalogue.js';

const folder = await mkdtemp(join(tmpdir(), 'weights-cli-'));
test.after(() => rm(folder, { recursive: true }));
process.env['XDG_CACHE_HOME'] = folder;
process.env['RETINAFACE_OFFLINE'] = '1';

/** What the command writes to stdout. */
async function printed(...args: readonly string[]): Promise<string> {
  const write = process.stdout.write.bind(process.stdout);
  let text = '';
  process.stdout.write = (part: string | Uint8Array) => {
    text += String(part);
    return true;
  };
  try {
    assert.equal(await weights.run(args), EXIT.done);
  } finally {
    process.stdout.write = write;
  }
  return text;
}

test('the list has every name with its size, licence, source and precision by its protocol', async () => {
  const list = await printed();
  for (const { name, licence, source, protocol } of namedWeights()) {
    for (const fact of [name, licence, source, protocol]) assert.ok(list.includes(fact), fact);
  }
  assert.match(list, /mobilenet0\.25-wider {2}\(not fetched\)\n {2}published-mobilenet0\.25, 1\.8 MB/);
  assert.match(list, /0\.908 \/ 0\.883 \/ 0\.740 \(easy \/ medium \/ hard\)/);
  assert.match(list, /\(bundled, the default\)/);
});

test('as JSON it has a line each, with where the file lies and whether it is damaged', async () => {
  const [known] = PUBLIC_WEIGHTS;
  await weightsStore().write(known!, new Uint8Array(3));
  const lines = (await printed('--json')).trim().split('\n');
  const list = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    list.map(({ name }) => name),
    namedWeights().map(({ name }) => name),
  );
  const entry = list.find(({ name }) => name === known!.name)!;
  assert.equal(entry['state'], 'damaged');
  assert.equal(entry['sha256'], known!.sha256);
  assert.equal(entry['path'], join(folder, 'retinaface-webgpu/weights', known!.file));
  assert.equal(list.filter((each) => each['default']).length, 1);
});

test('fetch prints where the file of a name lies; offline it says where to put one', async () => {
  const path = await printed('fetch', 'synthetic', '--quiet');
  assert.ok(existsSync(path.trim()), path);
  await assert.rejects(printed('fetch', 'mobilenet0.25-wider', '--quiet'), {
    name: 'WeightsError',
    message: /RETINAFACE_OFFLINE=1.* put it at /,
  });
});

test('a name that there is not, and words that mean nothing, are wrong usage', async () => {
  await assert.rejects(printed('fetch', 'resnet'), {
    name: 'ArgumentError',
    message: /one of .*synthetic.*, got 'resnet'/,
  });
  for (const args of [['fetch'], ['get', 'synthetic']])
    await assert.rejects(printed(...args), { name: 'ArgumentError' });
});

test('--weights takes names and paths', async () => {
  const { bytes, name } = await readWeightsOption('synthetic', true);
  assert.equal(name, 'synthetic');
  const file = join(folder, 'copy.safetensors');
  await writeFile(file, bytes);
  assert.deepEqual((await readWeightsOption(file, true)).bytes, bytes);
});

test('--config takes a name, or a file whose wrong field is named with the file', async () => {
  assert.equal(await readConfiguration(undefined, 'detect'), undefined);
  assert.equal(await readConfiguration('context', 'detect'), 'context');
  await assert.rejects(readConfiguration('contxt', 'detect'), { name: 'ArgumentError', message: /one of baseline, / });
  const file = join(folder, 'rgb.json');
  await assert.rejects(readConfiguration(file, 'detect'), {
    name: 'FileError',
    message: /detect --config from .*rgb\.json/,
  });
  await writeFile(file, '{"input":{"order":"rgb"}}');
  assert.deepEqual(await readConfiguration(file, 'detect'), { input: { order: 'rgb' } });
  await writeFile(file, '{"input":{"order":"gbr"}}');
  await assert.rejects(readConfiguration(file, 'detect'), {
    name: 'ArgumentError',
    message: /rgb\.json: .*input\.order/,
  });
  await writeFile(file, '{"input":');
  await assert.rejects(readConfiguration(file, 'detect'), {
    name: 'ArgumentError',
    message: /a JSON object in .*rgb\.json/,
  });
});

test('a training needs a whole configuration: a name, in the file or on the command line', () => {
  assert.equal(wholeConfiguration('context', 'train'), configurations.context);
  const plusOne = true;
  assert.deepEqual(wholeConfiguration({ name: 'context', plusOne }, 'train'), { ...configurations.context, plusOne });
  assert.throws(() => wholeConfiguration({ plusOne }, 'train'), { name: 'ArgumentError', message: /Write "name"/ });
});

test.run();
