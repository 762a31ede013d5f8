/** What every error of this library says: the operation, what it expected, what it got, and what to do about it. */
export interface Problem {
  /** What was being done, as a caller names it: `conv2d`, `load weights from face.pth`. */
  readonly operation: string;
  readonly expected: string;
  readonly got: string;
  /** The next thing to try. */
  readonly remedy: string;
  readonly cause?: unknown;
}

/** The root of all errors that this library throws on purpose. */
export class RetinaFaceError extends Error {
  override readonly name: string = 'RetinaFaceError';
  readonly operation: string;
  readonly expected: string;
  readonly got: string;
  readonly remedy: string;

  constructor(problem: Problem) {
    super(
      `${problem.operation}: expected ${problem.expected}, got ${problem.got}. ${problem.remedy}`,
      problem.cause === undefined ? undefined : { cause: problem.cause },
    );
    this.operation = problem.operation;
    this.expected = problem.expected;
    this.got = problem.got;
    this.remedy = problem.remedy;
  }
}

/** No adapter, or an adapter that lacks what was asked of it. */
export class AdapterError extends RetinaFaceError {
  override readonly name = 'AdapterError';
}

/** The device went away: unplugged, reset by its driver, or destroyed by its owner. */
export class DeviceLostError extends RetinaFaceError {
  override readonly name = 'DeviceLostError';
}

/** The device has no memory left for what was asked. */
export class OutOfMemoryError extends RetinaFaceError {
  override readonly name = 'OutOfMemoryError';
}

/** A tensor, buffer or grid over a limit of this device; raised before anything is allocated. */
export class LimitError extends RetinaFaceError {
  override readonly name = 'LimitError';
}

/** A kernel that did not link, compile or validate; `got` gives its own file and line. */
export class KernelError extends RetinaFaceError {
  override readonly name = 'KernelError';
}

/** Shapes that do not fit one another or the operation. */
export class ShapeError extends RetinaFaceError {
  override readonly name = 'ShapeError';
}

/** A tensor or model that was used after it was disposed of. */
export class DisposedError extends RetinaFaceError {
  override readonly name = 'DisposedError';
}

/** A tensor that lives on another device. */
export class DeviceMismatchError extends RetinaFaceError {
  override readonly name = 'DeviceMismatchError';
}

/** An argument outside its range, or of the wrong kind. */
export class ArgumentError extends RetinaFaceError {
  override readonly name = 'ArgumentError';
}

/** A tape used out of order: a second backward, a loss that is no scalar. */
export class TapeError extends RetinaFaceError {
  override readonly name = 'TapeError';
}

/** NaN or infinity, found by the opt-in check. */
export class NumericError extends RetinaFaceError {
  override readonly name = 'NumericError';
}

/** A picture that cannot be read, or is too large to be one. */
export class ImageError extends RetinaFaceError {
  override readonly name = 'ImageError';
}

/** Labels of pictures that are damaged, or in another format than was said. */
export class LabelError extends RetinaFaceError {
  override readonly name = 'LabelError';
}

/** A weights file that is damaged, unsafe, or does not fit the network. */
export class WeightsError extends RetinaFaceError {
  override readonly name = 'WeightsError';
}

/** A file that could not be read or written. */
export class FileError extends RetinaFaceError {
  override readonly name = 'FileError';
}
