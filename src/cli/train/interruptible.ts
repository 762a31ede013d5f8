/**
 * Does `work`, which asks whether Ctrl-C or SIGTERM came since it began, however often it begins again inside; `say` is
 * told `words` at once. The same signal for a second time ends the process.
 * @throws what `work` throws.
 */
export async function interruptible<R>(
  say: (words: string) => void,
  work: (stopRequested: () => boolean) => Promise<R>,
  words = 'saving, then ending; the same command goes on',
): Promise<R> {
  let stop = false;
  const onInterrupt = (): void => {
    stop = true;
    say(`\n${words}\n`);
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
