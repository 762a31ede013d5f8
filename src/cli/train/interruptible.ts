/**
 * Does `work`, which asks whether Ctrl-C or SIGTERM came since it began, however often it begins again inside; `say` is
 * told at once. The same signal for a second time ends the process.
 * @throws what `work` throws.
 */
export async function interruptible<R>(
  say: (words: string) => void,
  work: (stopRequested: () => boolean) => Promise<R>,
): Promise<R> {
  let stop = false;
  const onInterrupt = (): void => {
    stop = true;
    say('\nsaving, then ending; the same command goes on\n');
  };
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onInterrupt);
  try {
    return await work(() => stop);
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onInterrupt);
  }
}
