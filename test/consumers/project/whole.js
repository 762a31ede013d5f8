import * as library from './node_modules/retinaface-webgpu/dist/retinaface.js';
import { find } from './find.js';

find(library);
