import { EXIT } from './command.js';

/**
 * What happens where output cannot be written: a reader that closes the pipe early (`| head`) is no fault; a full disk ends the
 * process with a plain error; words on stderr that nobody can read are lost.
 */
export function guardOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.done);
    process.stderr.write(
      `retinaface: expected to write to standard output, got ${error.message}. ${remedyFor(error)}\n`,
    );
    process.exit(EXIT.failed);
  });
  process.stderr.on('error', () => undefined);
}

function remedyFor({ code }: NodeJS.ErrnoException): string {
  return code === 'ENOSPC' ? 'Make room on the disk, or write elsewhere.' : 'Write elsewhere.';
}

/** Ends the process, which Dawn would keep alive, once what was written has got out; where it cannot, `guardOutput` has its say. */
export function finish(code: number): void {
  process.stdout.write('', (error) => {
    // The error itself comes right behind.
    if (error) setImmediate(() => process.exit(EXIT.failed));
    else process.exit(code);
  });
}
