const sleeper = typeof SharedArrayBuffer === 'undefined' ? undefined : new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits for a promise of the device. Dawn in Node polls without pause while a promise is pending, which takes a core
 * away from a driver that computes on the CPU; there (`yieldCore`) this thread sleeps in slices of a millisecond between
 * two turns of the event loop instead. Elsewhere this is a plain `await`.
 */
export async function waitFor<T>(promise: Promise<T>, yieldCore: boolean): Promise<T> {
  if (!yieldCore || sleeper === undefined || typeof setImmediate !== 'function') return promise;
  const state = { settled: false };
  const settle = (): void => {
    state.settled = true;
  };
  promise.then(settle, settle);
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await turn();
  while (!state.settled) {
    Atomics.wait(sleeper, 0, 0, 1);
    await turn();
  }
  return promise;
}
