// What the second room and its worker say to each other.
import type { Face, LabelledFace, Losses, Picture } from '../../src/browser/index.js';
import type { Trouble } from '../trouble.js';

/** To the worker. `begin` comes first, and once. */
export type Order =
  | { readonly order: 'begin'; readonly seed: number }
  | { readonly order: 'pause' }
  | { readonly order: 'go on' }
  | { readonly order: 'weights' };

/** From the worker. */
export type News =
  | { readonly news: 'drawn'; readonly done: number; readonly total: number }
  | {
      readonly news: 'begun';
      readonly adapter: string;
      readonly parameters: number;
      readonly exam: readonly { readonly picture: Picture; readonly faces: readonly LabelledFace[] }[];
    }
  | { readonly news: 'step'; readonly step: number; readonly losses: Losses; readonly milliseconds: number }
  | {
      readonly news: 'exam';
      readonly step: number;
      readonly precision: number;
      readonly found: readonly (readonly Face[])[];
    }
  | { readonly news: 'weights'; readonly step: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly news: 'trouble'; readonly trouble: Trouble };
