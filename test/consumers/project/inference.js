import * as library from 'retinaface-webgpu/inference';
import { find } from './find.js';

find(library);
