// `npm run reproduce:small`: `retinaface reproduce`, with the real pictures beside the checkout where there are some.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const beside = fileURLToPath(new URL('../../shared/data/wider', import.meta.url));
const isNamed = process.argv.some((word) => word === '--real' || word.startsWith('--real='));
const real = !isNamed && existsSync(`${beside}/subset_annotations.json`) ? ['--real', beside] : [];
process.argv.splice(2, 0, 'reproduce', ...real);
await import('../src/cli/main.ts');
