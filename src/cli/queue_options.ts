import { text } from './options.js';

/** Options of all commands that talk to a queue. */
export const QUEUE_OPTIONS = {
  redis: text({
    value: 'URL',
    help: 'the Redis that holds the queue (also RETINAFACE_REDIS, for passwords; without, redis://127.0.0.1:6379)',
  }),
  queue: text({ value: 'NAME', fallback: 'retinaface', help: 'the name of the queue' }),
};

/** Where the queue is. */
export function redisOf(given: string | undefined): string {
  return given ?? process.env['RETINAFACE_REDIS'] ?? 'redis://127.0.0.1:6379';
}
