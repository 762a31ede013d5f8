/** Awaits a promise of the device, in the way that its runtime needs. */
export type Waiting = <T>(promise: Promise<T>) => Promise<T>;

const sleeper = typeof SharedArrayBuffer === 'undefined' ? undefined : new Int32Array(new SharedArrayBuffer(4));

/** Milliseconds between two empty submissions: at first, and at most, after which Firefox looks by itself. */
const FIRST_NUDGE = 4;
const LAST_NUDGE = 100;
/** Later ones come after this share of the time waited: a result is late by no more of it. */
const NUDGE_SHARE = 1 / 8;

/**
 * How to wait for this device. Dawn in Node polls without pause while a promise is pending, which takes a core away from a
 * driver that computes on the CPU, and so is slept through. Firefox looks for finished work every 100 ms, and whenever something
 * is submitted (its bug 1870699), and so is nudged. Elsewhere a plain `await` does.
 */
export function waitingFor(
  device: GPUDevice,
  { onCpu, agent = userAgent() }: { onCpu: boolean; agent?: string },
): Waiting {
  if (/\bFirefox\//.test(agent)) return (promise) => nudging(promise, device.queue);
  const sleeps = onCpu && sleeper !== undefined && typeof setImmediate === 'function';
  return sleeps ? (promise) => sleeping(promise, sleeper) : (promise) => promise;
}

const userAgent = (): string => (typeof navigator === 'undefined' ? '' : navigator.userAgent);

/** This thread sleeps in slices of a millisecond between two turns of the event loop. */
async function sleeping<T>(promise: Promise<T>, slept: Int32Array): Promise<T> {
  const state = { settled: false };
  const settle = (): void => {
    state.settled = true;
  };
  promise.then(settle, settle);
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await turn();
  while (!state.settled) {
    Atomics.wait(slept, 0, 0, 1);
    await turn();
  }
  return promise;
}

/** Nothing is submitted, again and again, until the promise settles. */
async function nudging<T>(promise: Promise<T>, queue: GPUQueue): Promise<T> {
  const began = performance.now();
  let timer: ReturnType<typeof setTimeout>;
  const later = (): void => {
    const pause = NUDGE_SHARE * (performance.now() - began);
    timer = setTimeout(nudge, Math.min(LAST_NUDGE, Math.max(FIRST_NUDGE, pause)));
  };
  const nudge = (): void => {
    queue.submit([]);
    later();
  };
  later();
  try {
    return await promise;
  } finally {
    clearTimeout(timer!);
  }
}
