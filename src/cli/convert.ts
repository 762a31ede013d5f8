import { writeFileAtomic } from '../node/files.js';
import { elements } from '../tensor/shape.js';
import { toParameterNames } from '../weights/names.js';
import { readWeights } from '../weights/read.js';
import { recogniseBackbone, recogniseConfiguration } from '../weights/recognise.js';
import { writeSafetensors } from '../weights/safetensors.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { readWeightsOption } from './model_options.js';
import { wrong } from './options.js';

/** `retinaface convert`. */
export const convert: Command = defineCommand({
  name: 'convert',
  usage: 'IN OUT.safetensors',
  about: `Reads weights (PyTorch, zip or legacy, or safetensors; a path, an address or a name that \`retinaface weights\` lists)
without executing anything in them and writes them as safetensors, under the names and in the layout of the published
checkpoints.`,
  options: {},
  words: true,
  async run(_, files) {
    const [from, to] = files;
    if (from === undefined || to === undefined || files.length > 2 || !to.endsWith('.safetensors')) {
      throw wrong(
        'convert',
        'a file to read and one to write that ends in .safetensors',
        files.length === 0 ? 'neither' : files.join(' '),
        'Write `retinaface convert weights.pth weights.safetensors`.',
      );
    }
    const { bytes, name } = await readWeightsOption(from, false);
    const tensors = toParameterNames(await readWeights(bytes, name));
    const network = recogniseConfiguration(tensors) ?? recogniseBackbone(tensors) ?? 'an unknown network';
    await writeFileAtomic(to, writeSafetensors(tensors, { network }));
    let values = 0;
    for (const { shape } of tensors.values()) values += elements(shape);
    process.stderr.write(`${to}: ${network}, ${tensors.size} tensors, ${values.toLocaleString('en')} values\n`);
    return EXIT.done;
  },
});
