import { RetinaFaceError } from '../gpu/errors.js';

/** A package that only some users need, and that is not installed. */
export class MissingPackageError extends RetinaFaceError {
  override readonly name = 'MissingPackageError';
}

/**
 * A package that is loaded when it is asked for: `optionalPackage('bullmq', () => import('bullmq'), 'work')`.
 * @throws MissingPackageError, saying what to install, where it is not there; what the package itself throws.
 */
export async function optionalPackage<T>(name: string, load: () => Promise<T>, operation: string): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    const absent = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    // A package that is there may lack one of its own; that is another fault.
    if (!absent || !String(cause).includes(`'${name}'`)) throw cause;
    throw new MissingPackageError({
      operation,
      expected: `the package ${name}, which only some need`,
      got: 'none of that name',
      remedy: `Install it beside retinaface-webgpu: npm install ${name}`,
      cause,
    });
  }
}
