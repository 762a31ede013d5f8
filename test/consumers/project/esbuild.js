import * as library from 'retinaface-webgpu/inference';
import weights from 'retinaface-webgpu/weights/mobilenet0.25_faces.safetensors';
import { find } from './find.js';

find(library, weights);
