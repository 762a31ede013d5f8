// What readers copy to run a job on their scheduler: run here where it can be, and held against what the scheduler takes.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import ts from 'typescript';
import { test } from 'uvu';
import { parse } from 'yaml';
import { detect } from '../../src/cli/detect.js';
import { testUnless } from '../helpers/unless.js';
import { COMMAND, drawScenes, type Finished, ROOT, start } from './retinaface.js';

const examples = join(ROOT, 'examples/scale');
const folder = await mkdtemp(join(tmpdir(), 'retinaface-examples-'));
test.after(() => rm(folder, { recursive: true }));

const names = (await drawScenes(join(folder, 'pictures'), 11)).sort();
await writeFile(join(folder, 'list.txt'), `${names.join('\n')}\n`);
// `retinaface` as it is once installed.
await mkdir(join(folder, 'bin'));
const quoted = COMMAND.map((word) => `'${word}'`).join(' ');
await writeFile(join(folder, 'bin/retinaface'), `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });

function sh(script: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Finished> {
  const path = `${join(folder, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`;
  const child = spawn('bash', [join(examples, script), ...args], {
    cwd: folder,
    env: { ...process.env, PATH: path, SIZE: '64', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  return new Promise((resolve) =>
    child.on('close', (code) => {
      resolve({ code, stdout, stderr });
    }),
  );
}

let expected = '';

const noParallel = spawnSync('parallel', ['--version']).status === 0 ? undefined : 'no GNU parallel here';

testUnless(noParallel)(
  'GNU parallel runs the shards, and what they found is joined in the order of the list',
  async () => {
    const { finished } = start(['detect', '-', '--json', '--quiet', '--size', '64'], { input: names.join('\n') });
    expected = (await finished).stdout;
    const { code, stderr } = await sh('parallel.sh', ['list.txt', 'faces', '3']);
    assert.equal(code, 0, stderr);
    assert.equal(await readFile(join(folder, 'faces.jsonl'), 'utf8'), expected);
  },
);

test('a task of a Slurm array does its shard, of an array that was submitted in part, too', async () => {
  const { code, stderr } = await sh('slurm_array.sh', ['list.txt', 'slurm'], {
    SLURM_ARRAY_TASK_ID: '7',
    SLURM_ARRAY_TASK_MIN: '7',
    SLURM_ARRAY_TASK_MAX: '7',
    SLURM_ARRAY_TASK_COUNT: '1',
  });
  assert.equal(code, 0, stderr);
  const part = await readFile(join(folder, 'slurm/shard-0007-of-0008/part-000000.jsonl'), 'utf8');
  assert.equal(part, expected.trimEnd().split('\n').at(-1)! + '\n');
  const script = await readFile(join(examples, 'slurm_array.sh'), 'utf8');
  assert.match(
    script,
    /^#!.*\n(#(?!SBATCH).*\n)*(#SBATCH --[a-z-]+(=\S+)?\n)+set /,
    'options stand before all commands',
  );
  assert.match(script, /--array=0-7\n[^]*auto\/8/);
});

/** What TypeScript says of a value as a Job of Kubernetes' published API, which the package kubernetes-types is made from. */
function faultsOf(job: unknown): string[] {
  const file = join(ROOT, 'test/scale/job_to_check.ts');
  const text = `import type { Job } from 'kubernetes-types/batch/v1';\nexport const job: Job = ${JSON.stringify(job)};\n`;
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    types: [],
    lib: ['lib.es5.d.ts'],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  };
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    readFile: (path) => (path === file ? text : disk.readFile(path)),
    fileExists: (path) => path === file || disk.fileExists(path),
    getSourceFile: (path, version) =>
      path === file ? ts.createSourceFile(path, text, version) : disk.getSourceFile(path, version),
  };
  return ts
    .getPreEmitDiagnostics(ts.createProgram([file], options, host))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

interface Job {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec: {
    readonly completions: number;
    readonly parallelism: number;
    readonly completionMode: string;
    readonly backoffLimitPerIndex: number;
    readonly template: {
      readonly spec: {
        readonly restartPolicy: string;
        readonly containers: readonly [
          {
            readonly command: readonly string[];
            readonly env: readonly { readonly name: string; readonly value: unknown }[];
            readonly volumeMounts: readonly { readonly name: string }[];
          },
        ];
        readonly volumes: readonly { readonly name: string }[];
      };
    };
  };
}

test('the manifest is an indexed job as Kubernetes describes it, and its command is one of ours', async () => {
  const job = parse(await readFile(join(examples, 'kubernetes_job.yaml'), 'utf8')) as Job;
  assert.deepEqual(faultsOf(job), []);
  // What a slip of the pen would be.
  for (const [slip, said] of [
    [{ ...job, spec: { ...job.spec, completion: 8 } }, /completion"' does not exist/],
    [{ ...job, spec: { ...job.spec, parallelism: '8' } }, /'string' is not assignable to type 'number'/],
    [{ ...job, spec: { completions: 8 } }, /'template' is missing/],
  ] as const) {
    assert.match(faultsOf(slip).join('\n'), said);
  }
  assert.deepEqual([job.apiVersion, job.kind], ['batch/v1', 'Job']);
  const { spec } = job;
  assert.equal(spec.completionMode, 'Indexed', 'what gives each pod its index');
  assert.ok(Number.isInteger(spec.completions) && spec.parallelism <= spec.completions);
  const { restartPolicy, containers, volumes } = spec.template.spec;
  // A limit of each index needs pods that are not restarted in place.
  assert.equal(restartPolicy, 'Never');
  const [{ command, env, volumeMounts }] = containers;
  assert.deepEqual(env, [{ name: 'JOB_COMPLETIONS', value: String(spec.completions) }]);
  for (const { name } of volumeMounts) assert.ok(volumes.some((volume) => volume.name === name));
  for (const word of command) assert.equal(typeof word, 'string', `${word} is a string in YAML, too`);
  const [program, name, ...args] = command;
  assert.deepEqual([program, name], ['retinaface', 'detect']);
  // All of it is understood but where it runs: outside of Kubernetes.
  const message = /--shard auto in a Kubernetes indexed job/;
  await assert.rejects(detect.run(args), { name: 'ArgumentError', message });
});

test('a partition of Spark and a task of Ray are what `detect -` answers, a bad picture and all', async () => {
  const [spark, ray] = await Promise.all(
    ['spark_pipe.py', 'ray_detect.py'].map((name) => readFile(join(examples, name), 'utf8')),
  );
  const [, command] = /DETECT = "sh -c '(.*)'"/.exec(spark!) ?? [];
  const [, words] = /command = (\[.*\])/.exec(ray!) ?? [];
  const piped = `retinaface ${(JSON.parse(words!) as string[]).slice(1).join(' ')}`;
  assert.equal(command, `${piped}; [ $? -le 1 ]`);
  const path = `${join(folder, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`;
  const { status, stdout } = spawnSync('sh', ['-c', command.replace('640', '64')], {
    input: `${names[0]!}\n/absent.jpg\n`,
    env: { ...process.env, PATH: path },
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  const [first, second] = stdout.trim().split('\n');
  assert.equal(first, expected.split('\n')[0]);
  assert.match(second!, /^\{"file":"\/absent\.jpg","error":\{"name":"FileError"/);
});

test.run();
