import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';

// Dawn ends the process when its GPU object is collected while a device of it works.
test('a device survives garbage collections under memory pressure', () => {
  const source = `
    import { requestDevice } from ${JSON.stringify(new URL('../../src/node/device.ts', import.meta.url).href)};
    import { Tensor } from ${JSON.stringify(new URL('../../src/tensor/tensor.ts', import.meta.url).href)};
    import { relu } from ${JSON.stringify(new URL('../../src/ops/relu.ts', import.meta.url).href)};
    const device = await requestDevice();
    const x = Tensor.from(device, new Float32Array(4096).fill(3), [4096]);
    for (let i = 0; i < 40; i++) {
      const garbage = Array.from({ length: 50 }, () => new Float64Array(20_000));
      globalThis.gc();
      const y = relu(x);
      if ((await y.read())[garbage.length] !== 3) process.exit(9);
      y.dispose();
    }
    console.log('alive');
    process.exit(0);
  `;
  const child = spawnSync(
    process.execPath,
    ['--expose-gc', '--import', 'tsx', '--input-type=module', '--eval', source],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)), encoding: 'utf8' },
  );
  assert.equal(child.stdout.trim(), 'alive', child.stderr);
  assert.equal(child.status, 0);
});

test.run();
