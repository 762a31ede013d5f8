import { fileURLToPath } from 'node:url';
import { nodeHost, weightsStore } from '../node/weights_store.js';
import { BUNDLED_WEIGHTS, DEFAULT_WEIGHTS } from '../retinaface/bundled.js';
import { namedWeights } from '../retinaface/weights_source.js';
import { type NamedWeights, PUBLIC_WEIGHTS, type PublicWeights } from '../weights/catalogue.js';
import { faultOf } from '../weights/download.js';
import { fetchWeights, type WeightsStore } from '../weights/fetch_weights.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { fetchProgress } from './model_options.js';
import { flag, wrong } from './options.js';

/** `retinaface weights`. */
export const weights: Command = defineCommand({
  name: 'weights',
  usage: '[fetch NAME…] [--json] [--quiet]',
  about: `Lists the weights that have a name: what --weights and load() take. \`fetch\` gets public ones, checks their size and
their SHA-256, and keeps them for later; it prints where each lies. Without it they are fetched at their first use.`,
  options: {
    json: flag({ help: 'the list as one JSON line each' }),
    quiet: flag({ help: 'no words on stderr but errors' }),
  },
  notes: `They are kept in the cache folder of the user: XDG_CACHE_HOME or ~/.cache on Linux. With RETINAFACE_OFFLINE=1 nothing is
fetched, and a file that was put there by hand is found and checked.`,
  words: true,
  async run({ json, quiet }, [action, ...names]) {
    if (action === undefined) return list(json);
    if (action !== 'fetch' || names.length === 0) {
      const got = [action, ...names].join(' ');
      throw wrong('weights', '`fetch` and names, or nothing', `'${got}'`, 'Write `retinaface weights fetch NAME`.');
    }
    const known = names.map(find);
    for (const each of known) await fetchNamed(each, quiet);
    return EXIT.done;
  },
});

function find(name: string): NamedWeights {
  const found = namedWeights().find((each) => each.name === name);
  if (found) return found;
  const all = namedWeights().map((each) => each.name);
  throw wrong('weights', `one of ${all.join(', ')}`, `'${name}'`, 'Name one of them.');
}

const isPublic = (named: NamedWeights): named is PublicWeights => PUBLIC_WEIGHTS.some((each) => each === named);

/** Where the file of such weights lies, or would. */
function placeOf(named: NamedWeights, store: WeightsStore): string {
  if (isPublic(named)) return store.place?.(named) ?? '';
  return fileURLToPath(BUNDLED_WEIGHTS.find(({ name }) => name === named.name)!.address());
}

async function fetchNamed(named: NamedWeights, quiet: boolean): Promise<void> {
  const store = weightsStore();
  if (isPublic(named)) {
    const told = fetchProgress(named.name, quiet);
    const { unkept, kept, bytes } = await fetchWeights(named, store, {
      onProgress: told.advance,
      offline: nodeHost().offline,
    }).finally(told.end);
    // Keeping them is what this command is for.
    if (unkept) throw unkept;
    if (!quiet)
      process.stderr.write(`${named.name}: ${bytes.length} bytes ${kept ? 'were there' : 'fetched'}, checked\n`);
  } else if (!quiet) process.stderr.write(`${named.name}: in the package\n`);
  process.stdout.write(`${placeOf(named, store)}\n`);
}

async function list(json: boolean): Promise<number> {
  const store = weightsStore();
  for (const named of namedWeights()) {
    const where = await stateOf(named, store);
    process.stdout.write(
      json ? `${JSON.stringify({ ...facts(named), path: placeOf(named, store), state: where })}\n` : text(named, where),
    );
  }
  return EXIT.done;
}

/** Whether the file is there: `bundled`, `kept`, `damaged` or `not fetched`. */
async function stateOf(named: NamedWeights, store: WeightsStore): Promise<string> {
  if (!isPublic(named)) return 'bundled';
  const bytes = await store.read(named);
  if (!bytes) return 'not fetched';
  return (await faultOf(bytes, named)) ? 'damaged' : 'kept';
}

function facts({ name, configuration, bytes, licence, source, precision, protocol, ...rest }: NamedWeights): object {
  const [easy, medium, hard] = precision;
  const { sha256, addresses } = rest as Partial<PublicWeights>;
  const isDefault = name === DEFAULT_WEIGHTS.name;
  const more = sha256 === undefined ? {} : { sha256, addresses };
  return { name, default: isDefault, configuration, bytes, licence, source, easy, medium, hard, protocol, ...more };
}

function text(named: NamedWeights, where: string): string {
  const { name, bytes, configuration, licence, source, precision, protocol } = named;
  const state = name === DEFAULT_WEIGHTS.name ? `${where}, the default` : where;
  return `${name}  (${state})
  ${configuration}, ${(bytes / 1e6).toFixed(1)} MB
  from      ${source}
  licence   ${licence}
  precision ${precision.map((value) => value.toFixed(3)).join(' / ')} (easy / medium / hard)
            ${protocol}
`;
}
