import assert from 'node:assert/strict';
import { test } from 'uvu';
import {
  crc32c,
  eventFileHead,
  logEvent,
  type LogEntry,
  logLine,
  readLog,
  resumeEvents,
  resumeLog,
} from '../../src/train/event_log.js';

const entryOf = (step: number): LogEntry => ({ step, epoch: Math.floor(step / 4), total: 1 / (step + 1), rate: 0.001 });

/** Fields of a protocol buffer: number, kind and value (bytes of all but a varint), decoded by the format's rules alone. */
function* fields(bytes: Uint8Array): Generator<readonly [number: number, value: bigint | Uint8Array]> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const kind = key & 7;
    assert.ok([0, 1, 2, 5].includes(kind), `kind ${kind}`);
    if (kind === 0) {
      yield [key >> 3, varint()];
      continue;
    }
    const length = kind === 1 ? 8 : kind === 5 ? 4 : Number(varint());
    assert.ok(at + length <= bytes.length);
    yield [key >> 3, bytes.slice(at, at + length)];
    at += length;
  }
}

const view = (value: bigint | Uint8Array) => new DataView((value as Uint8Array).buffer);
const textOf = (value: bigint | Uint8Array) => new TextDecoder().decode(value as Uint8Array);

interface Event {
  wallTime?: number;
  step?: bigint;
  version?: string;
  scalars: Record<string, number>;
}

/** The events of a file, its framing checked byte by byte. */
function decode(file: Uint8Array): Event[] {
  const unmask = (masked: number) => {
    const rotated = (masked - 0xa282ead8) >>> 0;
    return ((rotated >>> 17) | (rotated << 15)) >>> 0;
  };
  const bytes = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const events: Event[] = [];
  let at = 0;
  while (at < file.length) {
    const length = Number(bytes.getBigUint64(at, true));
    assert.equal(unmask(bytes.getUint32(at + 8, true)), crc32c(file.slice(at, at + 8)));
    const data = file.slice(at + 12, at + 12 + length);
    assert.equal(unmask(bytes.getUint32(at + 12 + length, true)), crc32c(data));
    at += 16 + length;
    const event: Event = { scalars: {} };
    for (const [number, value] of fields(data)) {
      if (number === 1) event.wallTime = view(value).getFloat64(0, true);
      else if (number === 2) event.step = value as bigint;
      else if (number === 3) event.version = textOf(value);
      else {
        assert.equal(number, 5);
        for (const [inSummary, scalar] of fields(value as Uint8Array)) {
          assert.equal(inSummary, 1);
          const [[one, tag], [two, number32]] = [...fields(scalar as Uint8Array)] as [
            readonly [number, Uint8Array],
            readonly [number, Uint8Array],
          ];
          assert.deepEqual([one, two], [1, 2]);
          event.scalars[textOf(tag)] = view(number32).getFloat32(0, true);
        }
      }
    }
    events.push(event);
  }
  return events;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

test('checksums are those of RFC 3720', () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43);
  assert.equal(crc32c(ascending), 0x46dd794e);
  assert.equal(crc32c(ascending.toReversed()), 0x113fdb5c);
  assert.equal(crc32c(new TextEncoder().encode('123456789')), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(0)), 0);
});

test("records are, byte for byte, those of TensorBoard 2.21's own writer", () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  const head = '1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c';
  assert.equal(hex(eventFileHead(1.5)), head);
  const event =
    '2f000000000000006d5d1d5009000000000000044010ac022a210a0c0a0565706f636815000000400a110a0a6c6f73732f74' +
    '6f74616c150000403f3994dd5a';
  assert.equal(hex(logEvent({ step: 300, epoch: 2, total: 0.75 }, 2.5)), event);
});

test('an event file decodes to its version, times, steps and scalars', () => {
  const large = 2 ** 40 + 3;
  const file = join(
    eventFileHead(1_700_000_000.25),
    logEvent({ step: 0, epoch: 0, total: 1.5, class: 0.5, box: 0.25, landmark: 0.75, rate: 0.001 }, 1_700_000_001),
    logEvent({ step: large, epoch: 300, 'AP easy': NaN, images: -2 }, 1_700_000_002),
  );
  assert.deepEqual(decode(file), [
    { wallTime: 1_700_000_000.25, version: 'brain.Event:2', scalars: {} },
    {
      wallTime: 1_700_000_001,
      step: 0n,
      scalars: {
        epoch: 0,
        'loss/total': 1.5,
        'loss/class': 0.5,
        'loss/box': 0.25,
        'loss/landmark': 0.75,
        rate: Math.fround(0.001),
      },
    },
    { wallTime: 1_700_000_002, step: BigInt(large), scalars: { epoch: 300, 'AP easy': NaN, images: -2 } },
  ]);
});

test('an event file goes on after its last whole record of the steps that are kept', () => {
  const parts = [eventFileHead(1), ...[1, 2, 300].map((step) => logEvent(entryOf(step), step))];
  const file = join(...parts);
  assert.deepEqual(resumeEvents(file, { step: 300 }), file);
  assert.deepEqual(resumeEvents(file, { step: 299 }), join(...parts.slice(0, 3)));
  assert.deepEqual(resumeEvents(file, { step: 0 }), parts[0]);
  const whole = join(...parts.slice(0, 3));
  for (let cut = whole.length; cut < file.length; cut++) {
    assert.deepEqual(resumeEvents(file.subarray(0, cut), { step: 300 }), whole, `cut after ${cut} bytes`);
  }
  for (let at = whole.length; at < file.length; at++) {
    const damaged = file.map((byte, i) => (i === at ? byte ^ 16 : byte));
    assert.deepEqual(resumeEvents(damaged, { step: 300 }), whole, `damaged at ${at}`);
  }
});

test('a line of the log keeps eight digits, counts exactly, and has null for what is no number', () => {
  const line = logLine({ step: 123_456_789, epoch: 2, total: Math.fround(0.3), rate: 1e-4, class: NaN, box: Infinity });
  assert.equal(line, '{"step":123456789,"epoch":2,"total":0.30000001,"rate":0.0001,"class":null,"box":null}\n');
  assert.deepEqual(readLog(line), [
    { step: 123_456_789, epoch: 2, total: 0.30000001, rate: 1e-4, class: NaN, box: NaN },
  ]);
});

test('a log that was torn anywhere keeps its whole lines', () => {
  const lines = [1, 2, 3].map((step) => logLine(entryOf(step)));
  const log = lines.join('');
  const kept = lines.slice(0, 2).join('');
  for (let cut = kept.length; cut < log.length; cut++) {
    assert.equal(resumeLog(log.slice(0, cut), { step: 3 }), kept, `cut after ${cut} characters`);
  }
  for (let cut = kept.length; cut < log.length - 2; cut++) {
    assert.deepEqual(
      readLog(log.slice(0, cut)).map(({ step }) => step),
      [1, 2],
    );
  }
  assert.equal(resumeLog(log, { step: 3 }), log);
});

test('an evaluation that is done again is told once: what was written of it before goes', () => {
  const evaluated: LogEntry = { step: 2, epoch: 0, AP: 0.5 };
  const entries = [entryOf(1), { step: 1, epoch: 0, AP: 0.25 }, entryOf(2), evaluated, entryOf(3)];
  const again = entries.slice(0, 3);
  const log = (list: readonly LogEntry[]) => list.map(logLine).join('');
  assert.equal(resumeLog(log(entries), { step: 2, unevaluated: true }), log(again));
  assert.equal(resumeLog(log(entries), { step: 2 }), log([...again, evaluated]));
  const events = (list: readonly LogEntry[]) => join(eventFileHead(1), ...list.map((entry) => logEvent(entry, 1)));
  assert.deepEqual(resumeEvents(events(entries), { step: 2, unevaluated: true }), events(again));
  assert.deepEqual(resumeEvents(events(entries), { step: 2 }), events([...again, evaluated]));
});

test('a log goes on without the lines past the step, and without what is no entry', () => {
  const log = ['{"step":1,"epoch":0,"total":1}', '[]', 'null', '{"step":2}', '{"step":2,"epoch":0,"total":"x"}'];
  const text = [...log, '{"step":5,"epoch":1}', '{"step":4,"epoch":1}', ''].join('\n');
  assert.equal(resumeLog(text, { step: 4 }), '{"step":1,"epoch":0,"total":1}\n{"step":4,"epoch":1}\n');
  assert.equal(resumeLog('', { step: 4 }), '');
  assert.deepEqual(
    readLog(text).map(({ step }) => step),
    [1, 5, 4],
  );
});

test.run();
