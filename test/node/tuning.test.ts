// What `retinaface tune` keeps, and who uses it.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { requestDevice, RetinaFace } from '../../src/node/index.js';
import { forgetTuning, keepTuning, keptTuning, tuningFile } from '../../src/node/tuning.js';
import { testDevice as device } from '../helpers/device.js';

const folder = mkdtempSync(join(tmpdir(), 'retinaface-tuning-'));
process.env['XDG_CACHE_HOME'] = folder;
delete process.env['RETINAFACE_TUNING'];
test.after(() => {
  rmSync(folder, { recursive: true, force: true });
});

const choices = new Map([['conv2d forward 1×1 /1×1 *1×1 4→4 2^4', 'plain']]);

test('what is kept is used by the first model of each device, and what is set later stays', async () => {
  await keepTuning(device, choices);
  assert.deepEqual(keptTuning(device), { choices });
  const other = await requestDevice();
  assert.equal(Gpu.of(other).choices.size, 0);
  new RetinaFace(other).dispose();
  assert.deepEqual(Gpu.of(other).choices, choices);
  Gpu.of(other).choices = new Map();
  new RetinaFace(other).dispose();
  assert.equal(Gpu.of(other).choices.size, 0);
  other.destroy();
});

test('RETINAFACE_TUNING=0 goes by the rules', () => {
  process.env['RETINAFACE_TUNING'] = '0';
  assert.deepEqual(keptTuning(device), { choices: new Map(), because: 'RETINAFACE_TUNING=0' });
  delete process.env['RETINAFACE_TUNING'];
});

test('a damaged file is as none, and says so; what is forgotten is gone', async () => {
  writeFileSync(tuningFile(device), '{');
  assert.deepEqual(keptTuning(device), { choices: new Map(), because: 'damaged' });
  await forgetTuning(device);
  await forgetTuning(device);
  assert.deepEqual(keptTuning(device), { choices: new Map() });
});

test.run();
