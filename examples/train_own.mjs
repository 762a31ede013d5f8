// Goes on training with pictures of one's own: `node train_own.mjs labels.jsonl out.safetensors [steps]`
// `retinaface train` does more: it resumes, evaluates, keeps the best weights, and goes on where a device is lost.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  drawAugmentation,
  parseJsonLines,
  plannedBatch,
  randomOf,
  readImage,
  requestDevice,
  RetinaFace,
  Trainer,
  writeSafetensors,
} from 'retinaface-webgpu';

const SIZE = 256;
const BATCH = 2;
const SEED = 1;

const [labels, out, steps = '200'] = process.argv.slice(2);
const { samples } = parseJsonLines(readFileSync(labels, 'utf8'));
const pictures = await Promise.all(samples.map(({ name }) => readImage(join(dirname(labels), name))));

const device = await requestDevice();
const model = new RetinaFace(device);
await model.load(); // what the weights in the box know already
const trainer = new Trainer(model.network, { momentum: 0.9, weightDecay: 5e-4, clipNorm: 20 });

for (let step = 0; step < Number(steps); step++) {
  // Crops, mirrored, in other colours: no picture comes twice alike. Same seed, same device, same result.
  const planned = Array.from({ length: BATCH }, (_, place) => {
    const random = randomOf(SEED, step, place);
    const index = random.pick([...samples.keys()]);
    const { faces } = samples[index];
    return { picture: pictures[index], faces, plan: drawAugmentation(random, pictures[index], faces) };
  });
  const { x, targets } = plannedBatch(device, planned, { size: SIZE, ...model.configuration.input });
  const losses = trainer.accumulate({ x, targets });
  trainer.step(1e-4);
  x.dispose();
  targets[Symbol.dispose]();
  const { total } = await trainer.read(losses);
  if (step % 10 === 0) console.log(`step ${step}: loss ${total.toFixed(3)}`);
}
model.network.train(false);
writeFileSync(out, writeSafetensors(await model.state()));
console.log(`wrote ${out}`);
