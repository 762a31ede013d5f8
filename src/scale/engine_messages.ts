// What a service and the process that searches for it say to each other.
import type { Problem } from '../gpu/errors.js';
import type { Face } from '../image/face.js';
import type { Precision } from '../nn/parameter.js';
import type { ConfigurationName } from '../retinaface/config.js';
import type { GivenConfiguration } from '../retinaface/given_configuration.js';

/** Searches that are begun at a time: one is computed, and the next one prepared. */
export const SEARCHES = 2;

/** What the process that searches is started with. */
export interface EngineSettings {
  /** A path, an address or a name; the weights in the box without it. */
  readonly weights?: string | undefined;
  readonly configuration?: ConfigurationName | GivenConfiguration | undefined;
  readonly precision?: Precision | undefined;
  /** Pictures of a batch at most. Default 8 on a GPU, 4 on a driver that computes on the CPU. */
  readonly batch?: number | undefined;
  /** Milliseconds that a picture waits for others of its size. */
  readonly batchWait: number;
  /** Threads that decode. */
  readonly threads: number;
  /** Pixels of a picture at most. */
  readonly maxPixels: number;
  /** Pixels of the longer side of what is searched, at most. */
  readonly maxSize: number;
  /** Milliseconds that the decoding of one picture may take. */
  readonly decodeTimeout: number;
}

/** What the process that searches says of itself. */
export interface EngineAbout {
  readonly driver: string;
  readonly configuration: string;
  /** The driver computes on the CPU. */
  readonly software: boolean;
  readonly landmarks: boolean;
  /** Pictures of a batch at most. */
  readonly batch: number;
}

/** How the faces of a picture are searched for. */
export interface Search {
  readonly size?: 'original' | number | undefined;
  readonly scoreThreshold?: number | undefined;
  readonly nmsThreshold?: number | undefined;
  readonly maxFaces?: number | undefined;
}

/** How faces are cut out, turned upright. */
export interface Alignment {
  /** Pixels of a side. */
  readonly size: number;
  readonly format: 'png' | 'jpeg';
}

/** A picture whose faces are wanted: the bytes of a PNG or JPEG. */
export interface PictureRequest {
  readonly bytes: Uint8Array;
  /** What errors call it. */
  readonly name: string;
  readonly search: Search;
  readonly align?: Alignment | undefined;
}

/** Milliseconds of each stage. */
export interface EngineTimes {
  /** In a thread, and before it until one was free. */
  readonly decode: number;
  /** Until the batch was full, or the device free. */
  readonly gather: number;
  /** Of the whole batch, with what was left of the one before it. */
  readonly search: number;
  /** Where faces were cut out. */
  readonly align?: number;
}

/** A picture with its faces, best first, in pixels of the upright picture. */
export interface FoundPicture {
  readonly width: number;
  readonly height: number;
  readonly faces: readonly Face[];
  /** There were more than were wanted. */
  readonly cut: boolean;
  /** A file of each face, where asked for; undefined for a face without landmarks. */
  readonly aligned?: readonly (Uint8Array | undefined)[];
  /** Pictures that were searched together, this one among them. */
  readonly batch: number;
  readonly times: EngineTimes;
}

/** Why a picture has no answer: the status of HTTP that says so, and the parts of the error. */
export interface Refusal extends Omit<Problem, 'cause'> {
  readonly status: number;
  readonly name: string;
}

/** Said to the process that searches. */
export type ToEngine =
  | { readonly kind: 'open'; readonly settings: EngineSettings }
  | { readonly kind: 'find'; readonly id: number; readonly request: PictureRequest }
  /** That picture is no longer wanted; it is answered all the same, in short. */
  | { readonly kind: 'drop'; readonly id: number }
  | { readonly kind: 'end' };

/** Said by it. Each picture is answered once. */
export type FromEngine =
  | { readonly kind: 'ready'; readonly about: EngineAbout }
  | { readonly kind: 'failed'; readonly refusal: Refusal }
  | { readonly kind: 'found'; readonly id: number; readonly found: FoundPicture }
  | { readonly kind: 'refused'; readonly id: number; readonly refusal: Refusal }
  | { readonly kind: 'dropped'; readonly id: number }
  /**
   * A batch was searched: milliseconds since it began, or since the one before it ended if that was later; bytes of memory that the
   * process holds, and seconds of processors that it has had.
   */
  | {
      readonly kind: 'batch';
      readonly pictures: number;
      readonly time: number;
      readonly resident: number;
      readonly processor: number;
    }
  /** Words for whoever runs the service. */
  | { readonly kind: 'say'; readonly words: string };
