import { readBytes } from '../node/files.js';
import type { RetinaFace } from '../node/retinaface.js';
import { nodeHost } from '../node/weights_store.js';
import type { Configuration, ConfigurationName } from '../retinaface/config.js';
import {
  checkConfiguration,
  completeConfiguration,
  configurationNamed,
  type GivenConfiguration,
} from '../retinaface/given_configuration.js';
import { namedWeights, readSource, type WeightsFile } from '../retinaface/weights_source.js';
import type { ByteProgress } from '../weights/download.js';
import { oneOf, wrong } from './options.js';

/** What `--config` names: a configuration, or what a file says that weights cannot tell. */
export type ConfigurationOption = ConfigurationName | GivenConfiguration;

/** What `--help` says of `--config`. */
export const CONFIGURATION_HELP =
  'the network; recognised from the weights by default. FILE.json says what weights cannot tell, as ' +
  '{"input":{"order":"rgb"}} or {"levels":[{"stride":8,"sizes":[10,20]},…]}';

/** `--precision`. */
export const PRECISION = oneOf(['f32', 'f16'], {
  value: 'f32|f16',
  help: 'what weights and maps are stored in; f16: half the memory, where the device has shader-f16 (f32)',
});

/** What `--config` stands for: the name of a configuration, or a JSON file. @throws ArgumentError, FileError. */
export async function readConfiguration(
  given: string | undefined,
  command: string,
): Promise<ConfigurationOption | undefined> {
  if (given === undefined) return undefined;
  if (!/\.json$/i.test(given)) return configurationNamed(given, command).name;
  const text = new TextDecoder().decode(await readBytes(given, `${command} --config`));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : 'other text';
    throw wrong(command, `a JSON object in ${given}`, got, 'Correct the file.', cause);
  }
  return checkConfiguration(value, given);
}

/** A whole configuration, for a command that has no weights to recognise one from. @throws ArgumentError. */
export function wholeConfiguration(given: ConfigurationOption, command: string): Configuration {
  if (typeof given === 'string') return configurationNamed(given, command);
  if (given.name === undefined) {
    throw wrong(command, 'a configuration with a name', 'one without', 'Write "name" into the file of --config.');
  }
  return completeConfiguration(given, configurationNamed(given.name, command), `${command} --config`);
}

/** The weights file of a path, an address or a name, or the one in the box; it may be fetched, which is told on stderr. */
export async function readWeightsOption(given: string | undefined, quiet: boolean): Promise<WeightsFile> {
  const told = fetchProgress(given, quiet);
  try {
    return await readSource(given, nodeHost(), { onProgress: told.advance });
  } finally {
    told.end();
  }
}

/** Loads what `--weights` names, or the weights in the box; a download is told on stderr. */
export async function loadWeights(model: RetinaFace, given: string | undefined, quiet: boolean): Promise<void> {
  const told = fetchProgress(given, quiet);
  try {
    await model.load(given, {
      onProgress: ({ stage, loaded, total }) => {
        if (stage === 'read' && loaded !== undefined) told.advance({ loaded, total });
      },
    });
  } finally {
    told.end();
  }
}

/** A line on stderr while bytes come from elsewhere; nothing for files, or where stderr is no terminal. */
export function fetchProgress(
  name: string | undefined,
  quiet: boolean,
): { readonly advance: (progress: ByteProgress) => void; readonly end: () => void } {
  const remote = name !== undefined && (/^https?:/i.test(name) || namedWeights().some((known) => known.name === name));
  const shown = remote && !quiet && process.stderr.isTTY;
  return {
    advance({ loaded, total }) {
      if (!shown) return;
      const of = total === undefined ? '' : ` of ${total.toLocaleString('en')}`;
      process.stderr.write(`\rfetching ${name}: ${loaded.toLocaleString('en')}${of} bytes\x1b[K`);
    },
    end() {
      if (shown) process.stderr.write('\r\x1b[K');
    },
  };
}
