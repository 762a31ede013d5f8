/**
 * What a training writes down as it goes: lines of JSON for people and programs, and TensorBoard's event files. Everything
 * here makes or reads bytes and texts; whoever has a file system writes them.
 */

/** The scalars of one step or of one evaluation, by their names; what was not measured is left out. */
export type LogEntry = Readonly<Record<string, number>> & {
  /** Steps done. */
  readonly step: number;
  readonly epoch: number;
};

/** Digits of a float32. */
const DIGITS = 8;

/** One line of the log with its end of line. Numbers have eight digits; NaN and infinity become null, as JSON has it. */
export function logLine(entry: LogEntry): string {
  const rounded = Object.entries(entry).map(([name, value]) => [
    name,
    Number.isInteger(value) ? value : Number(value.toPrecision(DIGITS)),
  ]);
  return `${JSON.stringify(Object.fromEntries(rounded))}\n`;
}

/** The entries of a log. Lines that are not whole, as the last one after a sudden death, are left out; null is NaN. */
export function readLog(text: string): LogEntry[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

/**
 * The first line of a log that is no entry, counted from 1; undefined where all are. What follows the last end of line may
 * be torn: that is how a log looks after a sudden death.
 */
export function damagedLine(text: string): { readonly line: number; readonly text: string } | undefined {
  const lines = text.split('\n').slice(0, -1);
  const at = lines.findIndex((line) => parseLine(line) === undefined);
  return at < 0 ? undefined : { line: at + 1, text: lines[at]! };
}

/** Where a run goes on in what it wrote down before. */
export interface ResumePoint {
  /** Steps done. */
  readonly step: number;
  /** The evaluation after that step is done again: what was written of it before goes. */
  readonly unevaluated?: boolean | undefined;
}

/** Whether an entry stays, told in their order: those up to that step, of which a step is the first and its evaluation follows. */
function staysBefore({ step, unevaluated = false }: ResumePoint): (of: number) => boolean {
  let ended = false;
  return (of) => {
    const stays = of < step || (of === step && !(unevaluated && ended));
    ended ||= of === step;
    return stays;
  };
}

/** The part of a log to go on from: its whole lines up to that step, torn and later ones dropped. */
export function resumeLog(text: string, point: ResumePoint): string {
  // What follows the last end of line was torn, even where it happens to parse.
  const lines = text.split('\n').slice(0, -1);
  const stays = staysBefore(point);
  const kept = lines.filter((line) => stays(parseLine(line)?.step ?? Infinity));
  return kept.map((line) => `${line}\n`).join('');
}

function parseLine(line: string): LogEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entry: Record<string, number> = {};
  for (const [name, number] of Object.entries(value)) {
    if (number === null) entry[name] = NaN;
    else if (typeof number === 'number') entry[name] = number;
    else return undefined;
  }
  const { step, epoch, ...rest } = entry;
  return step === undefined || epoch === undefined ? undefined : { step, epoch, ...rest };
}

const POLYNOMIAL = 0x82f63b78;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
  return crc;
});

/** CRC-32C (Castagnoli) as an unsigned number; RFC 3720, appendix B.4. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}

/** The checksum of a TFRecord: a CRC of data that holds CRCs is weak, hence the rotation and the constant. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Bytes around the data of a record: length (u64) and its checksum before, the data's checksum behind. */
const HEAD = 12;
const FOOT = 4;

/** One TFRecord: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details. */
function record(data: Uint8Array): Uint8Array {
  const framed = new Uint8Array(HEAD + data.length + FOOT);
  const view = new DataView(framed.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(framed.subarray(0, 8)), true);
  framed.set(data, HEAD);
  view.setUint32(HEAD + data.length, maskedCrc(data), true);
  return framed;
}

// Protocol buffers: a field is a tag (number · 8 + kind) and a value; kinds: 0 varint, 1 eight bytes, 2 length and bytes,
// 5 four bytes. Numbers of the fields from tensorflow/core/util/event.proto and framework/summary.proto.
const VARINT = 0;
const EIGHT_BYTES = 1;
const BYTES = 2;
const FOUR_BYTES = 5;
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5 } as const;
const SUMMARY = { value: 1 } as const;
const VALUE = { tag: 1, simpleValue: 2 } as const;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}

const tag = (field: number, kind: number): number[] => varint(field * 8 + kind);

function double(field: number, value: number): number[] {
  return [...tag(field, EIGHT_BYTES), ...new Uint8Array(Float64Array.of(value).buffer)];
}

function float(field: number, value: number): number[] {
  return [...tag(field, FOUR_BYTES), ...new Uint8Array(Float32Array.of(value).buffer)];
}

function nested(field: number, bytes: Iterable<number>): number[] {
  const content = [...bytes];
  return [...tag(field, BYTES), ...varint(content.length), ...content];
}

const text = (field: number, value: string): number[] => nested(field, new TextEncoder().encode(value));

/** What a TensorBoard event file starts with. `wallTime`: seconds since 1970. */
export function eventFileHead(wallTime: number): Uint8Array {
  return record(Uint8Array.from([...double(EVENT.wallTime, wallTime), ...text(EVENT.fileVersion, 'brain.Event:2')]));
}

/** Under which names TensorBoard shows a log entry's scalars; the others are shown under their own. */
const TAGS: Readonly<Record<string, string>> = {
  total: 'loss/total',
  class: 'loss/class',
  box: 'loss/box',
  landmark: 'loss/landmark',
};

/** One event with all scalars of a log entry but the step, which is the event's own. `wallTime`: seconds since 1970. */
export function logEvent({ step, ...scalars }: LogEntry, wallTime: number): Uint8Array {
  const values = Object.entries(scalars).flatMap(([name, value]) =>
    nested(SUMMARY.value, [...text(VALUE.tag, TAGS[name] ?? name), ...float(VALUE.simpleValue, value)]),
  );
  return record(
    Uint8Array.from([
      ...double(EVENT.wallTime, wallTime),
      ...tag(EVENT.step, VARINT),
      ...varint(step),
      ...nested(EVENT.summary, values),
    ]),
  );
}

/**
 * The part of an event file to go on from: its records up to that step. What follows a torn or damaged record is dropped,
 * because nothing tells where the next one would start.
 */
export function resumeEvents(file: Uint8Array, point: ResumePoint): Uint8Array {
  const stays = staysBefore(point);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const kept: Uint8Array[] = [];
  for (let at = 0; at + HEAD + FOOT <= file.length;) {
    const length = Number(view.getBigUint64(at, true));
    const end = at + HEAD + length + FOOT;
    if (end > file.length || view.getUint32(at + 8, true) !== maskedCrc(file.subarray(at, at + 8))) break;
    const data = file.subarray(at + HEAD, end - FOOT);
    if (view.getUint32(end - FOOT, true) !== maskedCrc(data)) break;
    if (stays(stepOf(data))) kept.push(file.subarray(at, end));
    at = end;
  }
  const whole = new Uint8Array(kept.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const part of kept) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The step of an encoded event; 0 where it has none, as the first of a file. */
function stepOf(event: Uint8Array): number {
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let factor = 1; at < event.length; factor *= 128) {
      const byte = event[at++]!;
      value += (byte % 128) * factor;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < event.length) {
    const key = readVarint();
    const kind = key % 8;
    if (kind === EIGHT_BYTES) at += 8;
    else if (kind === FOUR_BYTES) at += 4;
    else {
      // A value, or the length of what follows.
      const value = readVarint();
      if (kind === BYTES) at += value;
      else if (key === EVENT.step * 8) return value;
    }
  }
  return 0;
}
