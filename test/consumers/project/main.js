import * as library from 'retinaface-webgpu';
import { find } from './find.js';

find(library);
