// The child of the rows `first detection`: CONFIGURATION and a safetensors file in, one line of JSON out, in milliseconds.
import { readFileSync } from 'node:fs';
import { requestDevice } from '../src/node/device.js';
import { configurations } from '../src/retinaface/config.js';
import { RetinaFace } from '../src/retinaface/retinaface.js';

const [name = '', file = ''] = process.argv.slice(2);
const configuration = Object.values(configurations).find((each) => each.name === name);
if (!configuration) throw new Error(`no configuration is called '${name}'`);
const opening = performance.now();
const model = new RetinaFace(await requestDevice(), configuration);
await model.load(new Uint8Array(readFileSync(file)));
await model.detect({ data: new Uint8Array(640 * 640 * 4).fill(120), width: 640, height: 640 });
// performance.now() counts from the start of the process.
const end = performance.now();
console.log(JSON.stringify({ fromStart: end, fromDevice: end - opening }));
process.exit(0);
