#!/usr/bin/env node
import { RetinaFaceError } from '../gpu/errors.js';
import { EXIT, exitCodeOf, nearest } from './command.js';
import { COMMANDS } from './commands.js';
import { finish, guardOutput } from './output.js';
import { version } from './version.js';

const HELP = `retinaface: face detection with landmarks, on WebGPU

  retinaface detect PICTURE…   find faces
  retinaface merge DIR…        join what shards of a large job found
  retinaface enqueue …         put pictures into a queue
  retinaface work              search those of a queue
  retinaface results           what came of a queue's
  retinaface evaluate …        measure average precision as WIDER FACE does
  retinaface train …           train a network
  retinaface table RUN…        trainings as rows of the report's Table 2
  retinaface reproduce …       ablate small networks in minutes each
  retinaface serve             find faces over HTTP
  retinaface convert IN OUT    turn PyTorch weights into safetensors
  retinaface weights           list the weights that have a name, fetch public ones
  retinaface tune              measure which kernels are fastest here, and keep that
  retinaface doctor            say what this machine has, and what it lacks

\`retinaface COMMAND --help\` says more, \`retinaface --version\` which it is. Data goes to stdout, words to stderr.
Exit codes: 0 done · 1 some input failed · 2 wrong usage · 3 no device, or the device was lost.
`;

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === 'help' && rest.length > 0) return main([...rest, '--help']);
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(HELP);
    return name === undefined ? EXIT.usage : EXIT.done;
  }
  if (name === '--version' || name === 'version') {
    process.stdout.write(`${await version()}\n`);
    return EXIT.done;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) {
    const near = nearest(name, [...Object.keys(COMMANDS), '--version', '--help']);
    const remedy = near === undefined ? '`retinaface --help` lists them.' : `Did you mean ${near}?`;
    process.stderr.write(`retinaface: expected a command, got '${name}'. ${remedy}\n`);
    return EXIT.usage;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(command.help);
    return EXIT.done;
  }
  try {
    return await command.run(rest);
  } catch (error) {
    if (!(error instanceof RetinaFaceError)) throw error;
    // An operation that is the command itself has its name in front already.
    const named = error.operation === name || /^[ :]/.test(error.operation.slice(name.length));
    const prefix = named && error.operation.startsWith(name) ? 'retinaface' : `retinaface ${name}:`;
    process.stderr.write(`${prefix} ${error.message}\n`);
    return exitCodeOf(error);
  }
}

guardOutput();
finish(await main(process.argv.slice(2)));
