import { type Problem, RetinaFaceError } from '../gpu/errors.js';
import type { Refusal } from './engine_messages.js';

/** What a service answers instead of faces: a status of HTTP, and what every error says. */
export class ServiceError extends RetinaFaceError {
  override readonly name: string;
  readonly status: number;
  /** Seconds after which to try again. */
  readonly retryAfter: number | undefined;
  /** Other headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    problem: Problem,
    more: {
      readonly name?: string;
      readonly retryAfter?: number | undefined;
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(problem);
    this.status = status;
    this.name = more.name ?? 'ServiceError';
    this.retryAfter = more.retryAfter;
    this.headers = more.headers ?? {};
  }
}

/** What is said of an error to another process. */
export function refusalOf(status: number, error: RetinaFaceError): Refusal {
  const { name, operation, expected, got, remedy } = error;
  return { status, name, operation, expected, got, remedy };
}

/** The error that another process told of. */
export function refusalError({ status, name, ...problem }: Refusal, retryAfter?: number): ServiceError {
  return new ServiceError(status, problem, { name, retryAfter: status === 503 ? retryAfter : undefined });
}
