// What the page of the browser test runs: the jobs that the server lists, and its findings sent back.
import { type DetectOptions, type Face, readImage, requestDevice, RetinaFace } from '../../src/browser/index.js';

/** One detection: addresses of weights and picture, and the options. */
export interface Job {
  readonly weights: string;
  readonly picture: string;
  readonly options: DetectOptions;
}

/** What the page found: the faces of each job, or what went wrong. */
export type Findings =
  | { readonly adapter: string; readonly faces: readonly (readonly Face[])[]; readonly pixels: readonly number[] }
  | { readonly error: string };

async function work(): Promise<Findings> {
  const jobs = (await (await fetch('jobs.json')).json()) as readonly Job[];
  const device = await requestDevice();
  const faces: (readonly Face[])[] = [];
  const pixels: number[] = [];
  for (const { weights, picture, options } of jobs) {
    const model = new RetinaFace(device);
    await model.load(weights);
    const image = await readImage(picture);
    pixels.push(image.width * image.height);
    faces.push(await model.detect(image, options));
    model.dispose();
  }
  const { vendor, architecture, description } = device.adapterInfo;
  return { adapter: [vendor, architecture, description].filter(Boolean).join(', '), faces, pixels };
}

const findings = await work().catch((error: unknown): Findings => ({
  error: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
}));
const json = JSON.stringify(findings);
document.title = json;
await fetch('findings', { method: 'POST', body: json });
