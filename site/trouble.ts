import { RetinaFaceError } from '../src/browser/index.js';

/** What went wrong, in words for whoever is in front of the page. */
export interface Trouble {
  readonly title: string;
  readonly text: string;
}

/** Why nothing can be computed here at all, or undefined where it can. */
export function missingWebGpu(): Trouble | undefined {
  if ('gpu' in navigator) return undefined;
  if (!isSecureContext) {
    return {
      title: 'This page came over an unsafe connection',
      text: 'Browsers give WebGPU, which finds the faces, only to pages over https or from localhost.',
    };
  }
  return {
    title: 'This browser has no WebGPU',
    text:
      'It is what lets a page compute on the graphics card, and nothing here works without it. Chrome, Edge and other ' +
      'Chromium browsers have it since version 113 (121 on Android), Safari since 26, Firefox since 141 on Windows. ' +
      'Some have it switched off: look for “WebGPU” among the experimental settings.',
  };
}

/** An error as words: what was met instead of what was expected, and what to do. */
export function troubleOf(error: unknown): Trouble {
  if (error instanceof RetinaFaceError) {
    if (error.name === 'AdapterError') {
      return {
        title: 'No graphics card is at hand',
        text:
          'This browser has WebGPU, but found no adapter: hardware acceleration may be switched off in its settings, the ' +
          'graphics driver may be too old, or the card is on the browser’s list of faulty ones. `chrome://gpu` says which.',
      };
    }
    return {
      title: `Could not ${error.operation}`,
      text: `Expected ${error.expected}, got ${error.got}. ${error.remedy}`,
    };
  }
  return { title: 'Something went wrong', text: error instanceof Error ? error.message : String(error) };
}
