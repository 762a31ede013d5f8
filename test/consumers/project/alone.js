import * as library from './node_modules/retinaface-webgpu/dist/inference.js';
import { find } from './find.js';

find(library);
