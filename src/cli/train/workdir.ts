import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ArgumentError, FileError, RetinaFaceError } from '../../gpu/errors.js';
import { writeText } from '../../node/evaluate_report.js';
import { fileError, makeFolder, writeFileAtomic, writeImage } from '../../node/files.js';
import { type Position, restoreCheckpoint } from '../../train/checkpoint.js';
import { drawCurves } from '../../train/curves.js';
import {
  eventFileHead,
  type LogEntry,
  logEvent,
  logLine,
  readLog,
  resumeEvents,
  resumeLog,
} from '../../train/event_log.js';
import type { Trainer } from '../../train/trainer.js';

/** Seconds between two drawings of the curves, but for those after an evaluation. */
const DRAW_EVERY = 60;

/** The folder of a training: checkpoints, log, events and curves. */
export class Workdir {
  readonly #folder: string;
  /** Never rejects. */
  #writing: Promise<void> = Promise.resolve();
  #failure: FileError | undefined;
  #drawn = performance.now() / 1000;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Makes the folder, or goes on in it, where `identity` (of `inOrder`) is its own: the trainer takes up the last checkpoint, and log and events end where that was saved. `last`: the checkpoint.
   * @throws ArgumentError where it is another run's, before anything changes there; FileError; what a damaged checkpoint throws.
   */
  static async open(
    folder: string,
    trainer: Trainer,
    identity: string,
  ): Promise<{ readonly workdir: Workdir; readonly from: Position; readonly last: Uint8Array | undefined }> {
    await makeFolder(folder);
    const workdir = new Workdir(folder);
    let from: Position = { step: 0, epoch: 0, stepInEpoch: 0, run: identity };
    const last = await readIfThere(workdir.file('last.safetensors'));
    if (last) {
      from = restoreCheckpoint(trainer, last, workdir.file('last.safetensors'));
      if (!sameOptions(from.run, identity)) {
        throw new ArgumentError({
          operation: 'train',
          expected: `the options that ${folder} was started with: ${from.run}`,
          got: identity,
          remedy: 'Repeat the same command to go on, or name another --workdir.',
        });
      }
    }
    const log = resumeLog((await readIfThere(workdir.file('log.jsonl')))?.toString() ?? '', from);
    await writeText(workdir.file('log.jsonl'), log);
    const events = await readIfThere(workdir.file('events.tfevents'));
    await writeFileAtomic(
      workdir.file('events.tfevents'),
      events ? resumeEvents(events, from) : eventFileHead(Date.now() / 1000),
    );
    return { workdir, from, last };
  }

  file(name: string): string {
    return join(this.#folder, name);
  }

  /** Appends to log and events, after what was recorded before; where that fails, `save` and `draw` throw it. */
  record(entry: LogEntry): void {
    const log = logLine(entry);
    const event = logEvent(entry, Date.now() / 1000);
    this.#writing = this.#writing.then(async () => {
      // Behind a line that was torn stands no other.
      if (this.#failure) return;
      try {
        await appendFile(this.file('log.jsonl'), log);
        await appendFile(this.file('events.tfevents'), event);
      } catch (cause) {
        this.#failure = fileError(`write the log of ${this.#folder}`, 'files that can be written', cause);
      }
    });
  }

  /** Waits until nothing is being written any more, so that the folder may be opened again. */
  async settle(): Promise<void> {
    await this.#writing;
  }

  /** Waits for what was recorded. @throws FileError where it was not all written. */
  async #recorded(): Promise<void> {
    await this.#writing;
    if (this.#failure) throw this.#failure;
  }

  /** Writes a checkpoint after all that was recorded; now and then the curves as well. @throws FileError. */
  async save(checkpoint: Uint8Array, which: 'last' | 'best'): Promise<void> {
    await this.#recorded();
    await writeFileAtomic(this.file(`${which}.safetensors`), checkpoint);
    if (which === 'last' && performance.now() / 1000 - this.#drawn > DRAW_EVERY) await this.draw();
  }

  /** Draws the curves of what was recorded. @throws FileError. */
  async draw(): Promise<void> {
    await this.#recorded();
    const entries = readLog(await readFile(this.file('log.jsonl'), 'utf8'));
    if (entries.length > 1) await writeImage(this.file('curves.png'), drawCurves(entries));
    this.#drawn = performance.now() / 1000;
  }
}

/** Options as a checkpoint has them, in whatever order an older version wrote them. */
function sameOptions(given: string, identity: string): boolean {
  try {
    return inOrder(JSON.parse(given) as object) === identity;
  } catch {
    return false;
  }
}

/** An object as JSON, its keys in order. */
export function inOrder(value: object): string {
  return JSON.stringify(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** The bytes of a file, or nothing where there is none. */
async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    if (cause instanceof RetinaFaceError) throw cause;
    throw new FileError({
      operation: 'train',
      expected: `to read ${path}`,
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Check the folder and its rights.',
      cause,
    });
  }
}
