// The second room: a network learns in a worker, and what it does is drawn here.
import type { Face, LabelledFace, Picture } from '../../src/browser/index.js';
import { formatSeconds, Smoothed } from '../../src/train/metrics.js';
import { byId, html, megabytes, save, svg } from '../dom.js';
import type { Choice } from '../find/weights.js';
import { Speaker } from '../speaker.js';
import { missingWebGpu, type Trouble } from '../trouble.js';
import { Chart, type Point } from './chart.js';
import { BATCH, SIZE } from './lesson.js';
import type { News, Order } from './messages.js';

/** Scenes of the exam that are shown; all of them count. */
const SHOWN = 24;
/** Boxes of a scene that are drawn: at first it sees faces everywhere. */
const SHOWN_BOXES = 3;
/** Values that the loss is smoothed over. */
const SPAN = 10;

type State = 'idle' | 'starting' | 'learning' | 'paused';

export class LearnRoom {
  readonly #go = byId('learn-go', HTMLButtonElement);
  readonly #again = byId('learn-again', HTMLButtonElement);
  readonly #save = byId('learn-save', HTMLButtonElement);
  readonly #use = byId('learn-use', HTMLButtonElement);
  readonly #speaker = new Speaker('learn-status', 'learn-notice');
  readonly #exam = byId('exam', HTMLElement);
  readonly #lossChart = new Chart(byId('loss-chart', HTMLElement), { name: 'Loss', digits: 2 });
  readonly #precisionChart = new Chart(byId('precision-chart', HTMLElement), {
    name: 'Average precision',
    top: 1,
    goal: 0.5,
    digits: 2,
  });
  readonly #onUse: (choice: Choice) => void;

  #worker: Worker | undefined;
  #state: State = 'idle';
  #seed = 0;
  #smoothed = new Smoothed(SPAN);
  #losses: Point[] = [];
  #means: Point[] = [];
  #precisions: Point[] = [];
  #seconds = 0;
  #parameters = 0;
  #adapter = '';
  /** When the worker was last heard of while it learnt. */
  #heard: number | undefined;
  #wanted: 'file' | 'room' = 'file';

  /** `onUse`: weights are to be tried on pictures. */
  constructor(onUse: (choice: Choice) => void) {
    this.#onUse = onUse;
    this.#go.addEventListener('click', () => {
      this.#press();
    });
    this.#again.addEventListener('click', () => {
      this.#begin();
    });
    this.#save.addEventListener('click', () => {
      this.#ask('file');
    });
    this.#use.addEventListener('click', () => {
      this.#ask('room');
    });
    const missing = missingWebGpu();
    if (missing) this.#fail(missing);
  }

  #press(): void {
    if (this.#state === 'idle') this.#begin();
    else if (this.#state === 'learning') {
      this.#order({ order: 'pause' });
      this.#enter('paused');
      this.#speaker.say('Paused.');
    } else if (this.#state === 'paused') {
      this.#order({ order: 'go on' });
      this.#enter('learning');
      this.#speaker.say('Learning.');
    }
  }

  #begin(): void {
    this.#worker?.terminate();
    this.#speaker.clear();
    this.#smoothed = new Smoothed(SPAN);
    [this.#losses, this.#means, this.#precisions] = [[], [], []];
    this.#seconds = 0;
    this.#heard = undefined;
    this.#figures();
    const worker = new Worker(new URL('app/worker.js', document.baseURI), { type: 'module' });
    this.#worker = worker;
    worker.addEventListener('message', ({ data }: MessageEvent<News>) => {
      this.#hear(data);
    });
    worker.addEventListener('error', ({ message }) => {
      this.#fail({ title: 'The worker stopped', text: message || 'The browser does not say why.' });
    });
    this.#enter('starting');
    this.#speaker.say('Drawing scenes to learn from…');
    this.#order({ order: 'begin', seed: ++this.#seed });
  }

  #hear(news: News): void {
    switch (news.news) {
      case 'drawn':
        this.#speaker.say(`Drawing scenes to learn from: ${news.done} of ${news.total}`);
        break;
      case 'begun':
        this.#adapter = news.adapter;
        this.#parameters = news.parameters;
        this.#enter('learning');
        this.#showExam(news.exam);
        this.#describe();
        this.#speaker.say('Learning. The first step also compiles the kernels.');
        break;
      case 'step': {
        const now = performance.now();
        // Pauses do not count; exams, which lie between two steps, do.
        this.#seconds += (this.#heard === undefined ? news.milliseconds : now - this.#heard) / 1000;
        this.#heard = this.#state === 'learning' ? now : undefined;
        this.#smoothed.add(news.losses.total);
        this.#losses.push({ step: news.step, value: news.losses.total });
        this.#means.push({ step: news.step, value: this.#smoothed.value });
        this.#lossChart.show(this.#means, this.#losses);
        this.#figures();
        if (news.step === 2) this.#speaker.say('Learning.');
        break;
      }
      case 'exam': {
        const before = this.#precisions.at(-1)?.value ?? 0;
        if (this.#precisions.at(-1)?.step !== news.step)
          this.#precisions.push({ step: news.step, value: news.precision });
        this.#precisionChart.show(this.#precisions);
        this.#showFound(news.found);
        this.#figures();
        // A screen reader hears of tenths, not of every exam.
        const tenth = Math.floor(news.precision * 10);
        if (tenth > Math.floor(before * 10) && this.#state === 'learning') {
          this.#speaker.say(`Average precision ${(tenth / 10).toFixed(1)} after ${formatSeconds(this.#seconds)}.`);
        }
        break;
      }
      case 'weights':
        this.#deliver(news.bytes, news.step);
        break;
      case 'trouble':
        this.#fail(news.trouble);
    }
  }

  #enter(state: State): void {
    this.#state = state;
    const names: Readonly<Record<State, string>> = {
      idle: 'Start',
      starting: 'Starting…',
      learning: 'Pause',
      paused: 'Go on',
    };
    this.#go.textContent = names[state];
    this.#go.disabled = state === 'starting';
    const begun = state === 'learning' || state === 'paused';
    for (const button of [this.#again, this.#save, this.#use]) button.disabled = !begun;
    if (state !== 'learning') this.#heard = undefined;
  }

  #ask(wanted: 'file' | 'room'): void {
    this.#wanted = wanted;
    this.#order({ order: 'weights' });
  }

  #deliver(bytes: Uint8Array<ArrayBuffer>, step: number): void {
    const name = `learnt_${step}_steps`;
    if (this.#wanted === 'file') {
      save(bytes, `${name}.safetensors`);
      this.#speaker.say(`Saved ${name}.safetensors, ${megabytes(bytes.length)}.`);
      return;
    }
    if (this.#state === 'learning') this.#press();
    const about = `${megabytes(bytes.length)}. Learnt in this tab, from ${step * BATCH} drawn scenes of ${SIZE} × ${SIZE} pixels.`;
    this.#onUse({ name, about, source: bytes });
  }

  #order(order: Order): void {
    this.#worker?.postMessage(order);
  }

  #fail(trouble: Trouble): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#speaker.fail(trouble);
    this.#enter('idle');
  }

  #figures(): void {
    const steps = this.#losses.length;
    const set = (name: string, text: string): void => {
      byId(`figure-${name}`, HTMLElement).textContent = text;
    };
    const precision = this.#precisions.at(-1)?.value;
    set('step', steps.toLocaleString('en'));
    set('scenes', (steps * BATCH).toLocaleString('en'));
    set('time', formatSeconds(this.#seconds));
    set('rate', this.#seconds > 0 ? ((steps * BATCH) / this.#seconds).toFixed(0) : '–');
    set('loss', steps > 0 ? this.#smoothed.value.toFixed(2) : '–');
    set('precision', precision === undefined ? '–' : precision.toFixed(2));
  }

  #describe(): void {
    byId('learn-about', HTMLElement).textContent =
      `A RetinaFace on a ResNet-50 with a sixteenth of its channels: ${this.#parameters.toLocaleString('en')} numbers, drawn at ` +
      `random. Scenes of ${SIZE} × ${SIZE} pixels, ${BATCH} a step, with a face on each; stochastic gradient descent with ` +
      `momentum. Trainer, loss and kernels are those that train the large networks from the command line. Two cores of a ` +
      `processor, without a graphics card, take a minute and a half to find half of the faces. Here it computes on: ` +
      `${this.#adapter}.`;
  }

  #showExam(exam: readonly { readonly picture: Picture; readonly faces: readonly LabelledFace[] }[]): void {
    const tiles = exam.slice(0, SHOWN).map(({ picture: { data, width, height }, faces }) => {
      const canvas = html('canvas', { width, height });
      canvas.getContext('2d')?.putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0);
      const overlay = svg('svg', { class: 'overlay', viewBox: `0 0 ${width} ${height}` });
      const truth = svg('g', {}, ...faces.map(({ box: [x1, y1, x2, y2] }) => rectangle('truth', { x1, y1, x2, y2 })));
      overlay.append(truth, svg('g', { class: 'found' }));
      return html('div', { className: 'scene' }, canvas, overlay);
    });
    this.#exam.replaceChildren(...tiles);
    this.#exam.setAttribute('role', 'img');
    this.#exam.setAttribute('aria-label', `${tiles.length} drawn scenes with the faces that the network finds`);
  }

  #showFound(found: readonly (readonly Face[])[]): void {
    for (const [i, tile] of [...this.#exam.children].entries()) {
      const boxes = (found[i] ?? []).slice(0, SHOWN_BOXES).map(({ box, score }) => {
        const drawn = rectangle('box', box);
        drawn.setAttribute('opacity', score.toFixed(2));
        return drawn;
      });
      tile.querySelector('.found')?.replaceChildren(...boxes);
    }
  }
}

function rectangle(name: string, { x1, y1, x2, y2 }: Face['box']): SVGRectElement {
  return svg('rect', { class: name, x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1) });
}
