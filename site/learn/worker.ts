// Where the network of the second room learns, so that the page stays quick.
import { requestDevice } from '../../src/browser/index.js';
import { troubleOf } from '../trouble.js';
import { Lesson } from './lesson.js';
import type { News, Order } from './messages.js';

/** Milliseconds between two exams at least, and times what an exam takes: learning gets most of the time. */
const EXAM_EVERY = 2500;
const EXAM_SHARE = 8;

let lesson: Lesson | undefined;
let paused = false;
let goOn: (() => void) | undefined;

const tell = (news: News): void => {
  postMessage(news);
};

addEventListener('message', ({ data }: MessageEvent<Order>) => {
  switch (data.order) {
    case 'begin':
      void learn(data.seed).catch((error: unknown) => {
        tell({ news: 'trouble', trouble: troubleOf(error) });
      });
      break;
    case 'pause':
      paused = true;
      break;
    case 'go on':
      paused = false;
      goOn?.();
      break;
    case 'weights':
      void lesson?.weights().then((bytes) => {
        tell({ news: 'weights', step: lesson?.steps ?? 0, bytes: new Uint8Array(bytes) });
      });
  }
});

async function learn(seed: number): Promise<never> {
  const device = await requestDevice({ powerPreference: 'high-performance' });
  const { vendor, architecture, description } = device.adapterInfo;
  lesson = new Lesson(device, seed, (done, total) => {
    tell({ news: 'drawn', done, total });
  });
  tell({
    news: 'begun',
    adapter: [description || vendor, architecture].filter(Boolean).join(', '),
    parameters: lesson.parameters,
    exam: lesson.exam.map(({ picture, faces }) => ({ picture, faces })),
  });
  let next = 0;
  for (;;) {
    if (paused) {
      // What is shown during a pause is what the network then knows.
      await examine(lesson);
      await new Promise<void>((resolve) => {
        goOn = resolve;
        if (!paused) resolve();
      });
    }
    const began = performance.now();
    const losses = await lesson.step();
    const now = performance.now();
    tell({ news: 'step', step: lesson.steps, losses, milliseconds: now - began });
    if (now < next) continue;
    await examine(lesson);
    next = performance.now() + Math.max(EXAM_EVERY, EXAM_SHARE * (performance.now() - now));
  }
}

async function examine(of: Lesson): Promise<void> {
  const { precision, found } = await of.examine();
  tell({ news: 'exam', step: of.steps, precision, found });
}
