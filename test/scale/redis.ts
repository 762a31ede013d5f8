// A Redis of the test's own, which it can kill and start again with what its append-only file has kept.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

/** Why no Redis can be started here, if so. */
export const noRedis =
  spawnSync('redis-server', ['--version']).status === 0 ? undefined : 'no redis-server: bash test/scale/setup.sh';

/** A server that runs. */
export interface RedisServer extends AsyncDisposable {
  readonly url: string;
  /** Ends it as a power cut would, and starts it again after a while. */
  restart(): Promise<void>;
}

/** Starts a server on a port that is free, with its file in a folder. */
export async function startRedis(folder: string): Promise<RedisServer> {
  await mkdir(folder, { recursive: true });
  const probe = createServer();
  await new Promise<void>((listening) => probe.listen(0, '127.0.0.1', listening));
  const { port } = probe.address() as AddressInfo;
  await new Promise((closed) => probe.close(closed));
  const options = [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
    ...['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction'],
  ];
  let server: ChildProcess;
  const begin = async (): Promise<void> => {
    const child = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'ignore'] });
    server = child;
    await new Promise<void>((resolve, reject) => {
      let said = '';
      child.stdout.on('data', (text: Buffer) => {
        said += text.toString();
        if (said.includes('Ready to accept connections')) resolve();
      });
      child.on('exit', () => {
        reject(new Error(`redis-server ended: ${said}`));
      });
    });
  };
  const end = (): Promise<void> =>
    new Promise((resolve) => {
      server.removeAllListeners('exit').once('exit', () => {
        resolve();
      });
      server.kill('SIGKILL');
    });
  await begin();
  return {
    url: `redis://127.0.0.1:${port}`,
    async restart() {
      await end();
      await new Promise((resolve) => setTimeout(resolve, 500));
      await begin();
    },
    [Symbol.asyncDispose]: end,
  };
}
