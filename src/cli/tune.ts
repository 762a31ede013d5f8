import { anchorCount } from '../detect/anchors.js';
import { Gpu } from '../gpu/gpu.js';
import { requestDevice } from '../node/device.js';
import { RetinaFace } from '../node/retinaface.js';
import { forgetTuning, keepTuning, keptTuning, tuningFile } from '../node/tuning.js';
import { faceTargets } from '../data/batch.js';
import { Network } from '../retinaface/network.js';
import { scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { Trainer } from '../train/trainer.js';
import { tune as measure, type Tuning } from '../tune/tune.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { CONFIGURATION_HELP, loadWeights, PRECISION, readConfiguration } from './model_options.js';
import { flag, text, whole, wrong } from './options.js';

/** `retinaface tune`. */
export const tune: Command = defineCommand({
  name: 'tune',
  usage: '[--weights FILE | --config NAME] [--size N]',
  about: `Measures each convolution of a network in every way that this device has, tile by tile, and keeps those that are faster
than the library's rule: later commands and programs of this user use them on this adapter. Each way must give the plain
kernel's numbers. Other ways round sums in another order; a training keeps the ways that it began with.`,
  options: {
    weights: text({ value: 'FILE', help: 'whose network; the weights in the box by default' }),
    config: text({ value: 'NAME|FILE.json', help: CONFIGURATION_HELP }),
    precision: PRECISION,
    size: whole({ value: 'N', help: 'edge of the square input, in pixels', min: 32, max: 8192, fallback: 640 }),
    batch: whole({ value: 'N', help: 'pictures of a pass', min: 1, max: 1024, fallback: 1 }),
    training: flag({ help: 'a training step in place of a search' }),
    forget: flag({ help: 'forgets what was kept for this adapter; measures nothing' }),
    json: flag({ help: 'each computation as a JSON line' }),
    quiet: flag({ help: 'no words on stderr but errors' }),
  },
  notes: `What was kept for other networks and sizes stays. RETINAFACE_TUNING=0 goes by the rules for once; \`retinaface doctor\` says what
is in force.`,
  async run({ weights, config, precision, size, batch, training, forget, json, quiet }) {
    const device = await requestDevice();
    try {
      const gpu = Gpu.of(device);
      if (forget) {
        await forgetTuning(gpu);
        return EXIT.done;
      }
      if (weights !== undefined && config !== undefined) {
        throw wrong('tune', 'either --weights or --config', 'both', 'Leave one of them out.');
      }
      using model = new RetinaFace(device, await readConfiguration(config, 'tune'), { precision });
      if (config === undefined || model.configuration === undefined) await loadWeights(model, weights, quiet);
      else model.initialise(1);
      const passes = (): void => {
        compute(model, { size, batch, training });
      };
      const found = await measure(gpu, passes, {
        onMeasured({ name, way, rule, best, wrong: refused }, done, total) {
          const row = { name, way: way ?? null, rule, best, wrong: refused };
          if (json) process.stdout.write(`${JSON.stringify(row)}\n`);
          if (quiet) return;
          const ratio = way === undefined ? 'the rule is fastest' : `${way}, ${(rule / best).toFixed(2)} times as fast`;
          process.stderr.write(`${done}/${total} ${name}: ${rule.toFixed(2)} ms; ${ratio}\n`);
          for (const each of refused) {
            process.stderr.write(`warning: ${each} gives other numbers than the plain kernel here, and is not used\n`);
          }
        },
      });
      await keep(gpu, found, quiet);
      return EXIT.done;
    } finally {
      device.destroy();
    }
  },
});

/** What is tuned for, to be rehearsed. */
function compute(
  { network, gpu }: RetinaFace,
  { size, batch, training }: { readonly size: number; readonly batch: number; readonly training: boolean },
): void {
  const { levels } = network.configuration;
  scope(() => {
    const dtype = training ? 'f32' : network.parameters.precision;
    const x = Tensor.empty(gpu, [batch, size, size, 4], { dtype, label: 'network input' });
    if (!training) {
      network.infer(x, Tensor.empty(gpu, [anchorCount(levels, size, size), 4]));
      return;
    }
    // One of its own: a trainer changes what its network holds.
    const learner = new Network(gpu, network.configuration);
    {
      using trainer = new Trainer(learner);
      const box = [size / 4, size / 4, size / 2, size / 2] as const;
      trainer.accumulate({
        x,
        targets: faceTargets(
          gpu,
          Array.from({ length: batch }, () => [{ box }]),
        ),
      });
    }
    learner.dispose();
  });
}

/** Beside what was kept for other networks; a computation that goes by the rule again is forgotten. */
async function keep(gpu: Gpu, { choices, computations }: Tuning, quiet: boolean): Promise<void> {
  const kept = new Map(keptTuning(gpu).choices);
  for (const { key } of computations) kept.delete(key);
  await keepTuning(gpu, new Map([...kept, ...choices]));
  if (quiet) return;
  const saved = computations.reduce((sum, { rule, best }) => sum + rule - best, 0);
  process.stderr.write(
    `${choices.size} of ${computations.length} computations are faster by another way, ${saved.toFixed(1)} ms in all; kept in ${tuningFile(gpu)}\n`,
  );
}
