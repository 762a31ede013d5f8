// What a service takes of memory once it has nothing to do.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import { RETINAFACE } from '../helpers/command_line.js';
import { testUnless } from '../helpers/unless.js';
import { scene } from './service.js';

/** Sides that pictures are searched at, in an order that makes large and small ones neighbours. */
const SIZES = [608, 1056, 160, 928, 480, 1120, 352, 800, 224, 992, 544, 864];

/** Memory that a device keeps for the next picture goes after ten seconds without one; the clock looks every ten. */
const PATIENCE = 40_000;

/**
 * Megabytes that a process and those that it started hold for themselves: their own pages, and those that the driver shares with
 * the device. Pages of program files are not theirs: the system drops and shares them as it likes.
 */
function held(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const own = ['RssAnon', 'RssShmem'].map((kind) => Number(new RegExp(`${kind}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0));
  const started = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return [...own.map((kib) => (kib * 1024) / 1e6), ...started.map(held)].reduce((sum, each) => sum + each, 0);
}

const elsewhere = process.platform === 'linux' ? undefined : 'only Linux tells it in /proc';

testUnless(elsewhere)('after pictures of many sizes its memory is back under 100 MB above its start', async () => {
  const args = [...RETINAFACE, 'serve', '--port', '0', '--weights', 'synthetic', '--quiet'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'exit');
  try {
    const [address] = (await once(child.stdout, 'data')) as [Buffer];
    const find = async (size: number): Promise<void> => {
      const response = await fetch(`${address.toString().trim()}/detect?size=${size}`, {
        method: 'POST',
        body: Buffer.from(scene),
        headers: { 'content-type': 'image/jpeg' },
      });
      assert.equal(response.status, 200, await response.text());
    };
    const start = held(child.pid!);
    for (let i = 0; i < SIZES.length; i += 3) await Promise.all(SIZES.slice(i, i + 3).map(find));
    const loaded = held(child.pid!);
    let idle = loaded;
    const deadline = performance.now() + PATIENCE;
    while (idle >= start + 100 && performance.now() < deadline) {
      await sleep(500);
      idle = held(child.pid!);
    }
    console.log(`${start.toFixed(0)} MB at its start, ${loaded.toFixed(0)} under load, ${idle.toFixed(0)} idle`);
    assert.ok(loaded > start + 100, `${loaded} MB under load, ${start} at its start: nothing was kept that could go`);
    assert.ok(idle < start + 100, `${start} MB at its start, ${loaded} under load, ${idle} idle`);
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
});

test.run();
