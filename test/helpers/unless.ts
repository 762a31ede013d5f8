import { test } from 'uvu';

/**
 * uvu's `test` where there is no reason against it; otherwise a test that is counted as skipped, and says why.
 *
 * ```ts
 * testUnless(noSharedData)('the published weights find the faces of …', async () => { … });
 * ```
 */
export function testUnless(reason: string | undefined): (name: string, handler: () => void | Promise<void>) => void {
  if (reason === undefined) return test;
  return (name, handler) => {
    console.log(`﹣ ${name}: ${reason}`);
    test.skip(name, handler);
  };
}
