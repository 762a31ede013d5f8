// The first room: pictures go in, faces come out.
import {
  type DetectOptions,
  type Face,
  FaceTracker,
  type LoadProgress,
  type Picture,
  type PictureInput,
  readImage,
  type TrackedFace,
} from '../../src/browser/index.js';
import { byId, count, html, megabytes } from '../dom.js';
import { Speaker } from '../speaker.js';
import { missingWebGpu, type Trouble, troubleOf } from '../trouble.js';
import { Camera } from './camera.js';
import { droppedFiles, sorted } from './dropped.js';
import { Engine, type Found } from './engine.js';
import { FaceList } from './face_list.js';
import { type FaceKey, Overlay, type ShownFace } from './overlay.js';
import { median, showTimes } from './times.js';
import { type Choice, WeightsChooser } from './weights.js';

/** A picture at hand: where it is shown from and read from. */
interface Entry {
  readonly name: string;
  readonly address: string;
  readonly source: Blob | URL;
}

/** What is on the stage. */
interface Shown {
  readonly name: string;
  readonly picture: Picture;
  /** All that score more than `LEAST`. */
  readonly faces: readonly Face[];
  /** Those that were left out by hand. */
  readonly out: Set<FaceKey>;
}

/** Pictures are searched down to this score; the slider then shows or hides without another search. */
const LEAST = 0.05;
const SAMPLES = ['scene_1.jpg', 'scene_2.jpg', 'scene_3.jpg'];
const REPETITIONS = 10;
/** Milliseconds between two lists of faces while the camera runs: boxes follow every frame, a list that did could not be read. */
const LIST_EVERY = 500;

const ONCE = [
  'Open the graphics card',
  'Fetch the weights',
  'Read and upload them',
  'First search: compiling',
] as const;

export class FindRoom {
  readonly #stage = byId('stage', HTMLElement);
  readonly #frame = byId('frame', HTMLElement);
  readonly #image = byId('picture', HTMLImageElement);
  readonly #video = byId('video', HTMLVideoElement);
  readonly #speaker = new Speaker('status', 'find-notice');
  readonly #bar = byId('bar', HTMLElement);
  readonly #barFill = byId('bar-fill', HTMLElement);
  readonly #strip = byId('strip', HTMLUListElement);
  readonly #files = byId('files', HTMLInputElement);
  readonly #weightsFile = byId('weights-file', HTMLInputElement);
  readonly #threshold = byId('threshold', HTMLInputElement);
  readonly #size = byId('size', HTMLSelectElement);
  readonly #json = byId('json', HTMLPreElement);
  readonly #cameraButton = byId('camera', HTMLButtonElement);
  readonly #stillButton = byId('still', HTMLButtonElement);
  readonly #drawButton = byId('draw', HTMLButtonElement);
  readonly #copyButton = byId('copy', HTMLButtonElement);
  readonly #measureButton = byId('measure', HTMLButtonElement);

  readonly #overlay: Overlay;
  readonly #list: FaceList;
  readonly #chooser: WeightsChooser;
  readonly #camera: Camera;
  readonly #once = new Map<string, number>();
  readonly #each = new Map<string, number>();
  readonly #entries: Entry[] = [];
  #engine: Engine | undefined;
  #loaded: Choice | undefined;
  #current: Entry | undefined;
  #shown: Shown | undefined;
  /** Counts what was asked for: only the newest is shown. */
  #asked = 0;
  #scenes = 0;
  /** Counts how often the camera was followed: one loop at a time. */
  #followed = 0;

  constructor() {
    const choose = (key: FaceKey | undefined): void => {
      this.#overlay.choose(key);
      this.#list.choose(key);
    };
    const toggle = (key: FaceKey): void => {
      this.#toggle(key);
    };
    this.#overlay = new Overlay(byId('overlay', SVGSVGElement), toggle, choose);
    this.#list = new FaceList(byId('faces', HTMLOListElement), toggle, choose);
    this.#camera = new Camera(this.#video);
    this.#chooser = new WeightsChooser(
      byId('weights', HTMLSelectElement),
      byId('weights-hint', HTMLElement),
      (choice) => {
        void this.#load(choice);
      },
    );
    this.#listen();
    for (const name of SAMPLES) {
      const address = new URL(`pictures/${name}`, document.baseURI);
      this.#add({ name, address: address.href, source: address });
    }
  }

  /** Opens the device, loads the weights, and searches the first sample. */
  async start(): Promise<void> {
    const missing = missingWebGpu();
    if (missing) {
      this.#fail(missing);
      return;
    }
    this.#speaker.say('Opening the graphics card…');
    try {
      this.#engine = await Engine.open();
    } catch (error) {
      this.#fail(troubleOf(error));
      return;
    }
    const { device, adapter, onProcessor, openTime } = this.#engine;
    byId('adapter', HTMLElement).textContent = onProcessor ? `${adapter}: the processor, not a graphics card` : adapter;
    if (onProcessor) this.#size.value = '320';
    this.#time(ONCE[0], openTime);
    void device.lost.then(({ reason, message }) => {
      if (reason === 'destroyed') return;
      this.#fail({
        title: 'The graphics card was lost',
        text: `${message || 'The browser does not say why.'} Reload the page.`,
      });
    });
    await this.#load(this.#chooser.chosen);
  }

  /** Takes weights that were made elsewhere on the page, and searches with them. */
  use(choice: Choice): void {
    this.#chooser.add(choice);
  }

  /** The room is left: a camera that nobody sees goes off. */
  leave(): void {
    if (this.#camera.on) this.#stopCamera();
  }

  #listen(): void {
    this.#files.addEventListener('change', () => {
      this.#take([...(this.#files.files ?? [])]);
      // The same file again is a change, too.
      this.#files.value = '';
    });
    this.#weightsFile.addEventListener('change', () => {
      const [file] = this.#weightsFile.files ?? [];
      if (file) this.#takeWeights(file);
      this.#weightsFile.value = '';
    });
    addEventListener('paste', ({ clipboardData }) => {
      const files = [...(clipboardData?.files ?? [])];
      if (files.length > 0) this.#take(files);
    });
    let inside = 0;
    const drag = (change: number): void => {
      inside = Math.max(0, inside + change);
      this.#stage.classList.toggle('dragging', inside > 0);
    };
    addEventListener('dragenter', () => {
      drag(1);
    });
    addEventListener('dragleave', () => {
      drag(-1);
    });
    addEventListener('dragover', (event) => {
      event.preventDefault();
    });
    addEventListener('drop', (event) => {
      event.preventDefault();
      drag(-Infinity);
      void this.#drop(event.dataTransfer);
    });
    this.#threshold.addEventListener('input', () => {
      byId('threshold-value', HTMLOutputElement).value = this.#threshold.valueAsNumber.toFixed(2);
      this.#render();
    });
    this.#size.addEventListener('change', () => {
      if (!this.#camera.on) void this.#search();
    });
    this.#cameraButton.addEventListener('click', () => {
      if (this.#camera.on) this.#stopCamera();
      else void this.#startCamera();
    });
    this.#stillButton.addEventListener('click', () => {
      void this.#keepFrame();
    });
    this.#drawButton.addEventListener('click', () => {
      void this.#drawScene();
    });
    this.#copyButton.addEventListener('click', () => {
      void this.#copy();
    });
    this.#measureButton.addEventListener('click', () => {
      void this.#measure();
    });
  }

  /** Files that were chosen, dropped or pasted: pictures, or weights. */
  #take(files: readonly File[]): void {
    const { pictures, weights, others } = sorted(files);
    const entries = pictures.map((file): Entry => ({
      name: file.name || 'pasted picture',
      address: URL.createObjectURL(file),
      source: file,
    }));
    for (const entry of entries) this.#add(entry);
    if (entries[0]) void this.#open(entries[0]);
    const [chosen] = weights;
    if (chosen) this.#takeWeights(chosen);
    const [other] = others;
    if (entries.length > 0 || chosen) return;
    this.#fail({
      title: other ? `${other.name} is neither a picture nor weights` : 'There is no picture in that folder',
      text: 'Pictures are JPEG, PNG, WebP, AVIF, GIF, and what else this browser shows; weights are .safetensors or .pth.',
    });
  }

  #takeWeights(file: File): void {
    this.#chooser.add({ name: file.name, about: `${megabytes(file.size)}, from your machine.`, source: file });
  }

  async #drop(transfer: DataTransfer | null): Promise<void> {
    try {
      const files = transfer && (await droppedFiles(transfer));
      if (files) this.#take(files);
    } catch (error) {
      this.#fail(troubleOf(error));
    }
  }

  #add(entry: Entry): void {
    this.#entries.push(entry);
    const button = html(
      'button',
      { type: 'button', title: entry.name },
      html('img', { src: entry.address, alt: entry.name, loading: 'lazy' }),
    );
    button.addEventListener('click', () => {
      void this.#open(entry);
    });
    this.#strip.append(html('li', {}, button));
  }

  async #open(entry: Entry): Promise<void> {
    if (this.#camera.on) this.#stopCamera(false);
    this.#current = entry;
    for (const [i, item] of [...this.#strip.children].entries()) {
      const chosen = this.#entries[i] === entry;
      item.querySelector('button')?.setAttribute('aria-current', String(chosen));
      if (chosen) this.#bring(item);
    }
    this.#image.src = entry.address;
    this.#image.alt = entry.name;
    this.#image.hidden = false;
    this.#frame.hidden = false;
    this.#clear();
    await this.#search();
  }

  /** Scrolls the strip so that one of its pictures is seen, and never the page. */
  #bring(item: Element): void {
    const [strip, { left, right }] = [this.#strip.getBoundingClientRect(), item.getBoundingClientRect()];
    this.#strip.scrollLeft += Math.min(0, left - strip.left) + Math.max(0, right - strip.right);
  }

  /** Searches the picture that is open. */
  async #search(): Promise<void> {
    const entry = this.#current;
    const asked = ++this.#asked;
    if (!entry || !this.#engine?.ready) return;
    const isNewest = (): boolean => asked === this.#asked;
    try {
      this.#speaker.say(`Looking at ${entry.name}…`);
      const began = performance.now();
      const picture = await readImage(entry.source);
      this.#each.set('Read the picture', performance.now() - began);
      if (!isNewest()) return;
      const { faces, milliseconds, first } = await this.#engine.find(picture, this.#settings);
      if (!isNewest()) return;
      if (first) this.#time(ONCE[3], milliseconds);
      else this.#each.set('Find the faces', milliseconds);
      this.#dropParts();
      this.#show({ name: entry.name, picture, faces, out: new Set() });
      this.#speaker.say(
        `${this.#summary()} ${first ? 'The first search also compiled the kernels:' : 'It took'} ${Math.round(milliseconds)} ms.`,
      );
      this.#speaker.clear();
    } catch (error) {
      if (isNewest()) this.#fail(troubleOf(error));
    }
  }

  async #load(choice: Choice): Promise<void> {
    const engine = this.#engine;
    if (!engine) return;
    const asked = ++this.#asked;
    this.#bar.hidden = false;
    try {
      const times = await engine.load(choice.source, (progress) => {
        if (asked === this.#asked) this.#progress(choice, progress);
      });
      if (!times) return;
      this.#loaded = choice;
      this.#time(ONCE[1], times.fetch);
      this.#time(ONCE[2], times.upload);
      this.#speaker.clear();
      this.#speaker.say(`Weights ‘${choice.name}’ are ready.`);
      if (!this.#camera.on) await (this.#current ? this.#search() : this.#open(this.#entries[0]!));
    } catch (error) {
      this.#fail(troubleOf(error));
      if (this.#loaded) this.#chooser.show(this.#loaded.name);
    } finally {
      this.#bar.hidden = true;
    }
  }

  #progress({ name }: Choice, { stage, fraction, loaded, total }: LoadProgress): void {
    this.#barFill.style.transform = `scaleX(${fraction})`;
    if (stage !== 'read') this.#speaker.say(`Putting the weights ‘${name}’ on the graphics card…`);
    else if (loaded === undefined) this.#speaker.say(`Fetching the weights ‘${name}’…`);
    else
      this.#speaker.say(
        `Fetching the weights ‘${name}’: ${megabytes(loaded)}${total === undefined ? '' : ` of ${megabytes(total)}`}`,
      );
  }

  // What is seen

  get #settings(): { readonly size: DetectOptions['size']; readonly threshold: number } {
    const { value } = this.#size;
    const size = value === '' ? undefined : value === 'original' ? value : Number(value);
    return { size, threshold: LEAST };
  }

  #show(shown: Shown): void {
    this.#shown = shown;
    this.#render();
  }

  #clear(): void {
    this.#shown = undefined;
    this.#render();
  }

  /** Faces over the threshold, the best first. */
  get #visible(): readonly ShownFace[] {
    const least = this.#threshold.valueAsNumber;
    const { faces, out } = this.#shown ?? { faces: [], out: new Set<FaceKey>() };
    return faces
      .filter(({ score }) => score > least)
      .map((face) => {
        const key = 'id' in face ? (face as TrackedFace).id : face;
        return { face, key, out: out.has(key) };
      });
  }

  #render({ list = true }: { readonly list?: boolean } = {}): void {
    const faces = this.#visible;
    const shown = this.#shown;
    const began = performance.now();
    this.#overlay.show(faces, shown?.picture ?? { width: 1, height: 1 });
    if (shown) this.#each.set('Draw them', performance.now() - began);
    if (!list) return;
    const cutting = shown ? this.#list.show(faces, shown.picture) : this.#list.show([], EMPTY);
    if (shown) this.#each.set('Turn faces upright', cutting);
    this.#renderResult();
    this.#showTimes();
  }

  #renderResult(): void {
    const shown = this.#shown;
    const faces = this.#visible;
    byId('faces-title', HTMLElement).textContent = shown ? count(faces.length, 'face') : 'Faces';
    const none = byId('no-faces', HTMLElement);
    none.hidden = faces.length > 0;
    none.textContent = shown ? 'None that scores more. A lower score or a larger size may find some.' : 'None yet.';
    this.#json.textContent = shown ? this.#toJson(shown) : '';
    this.#copyButton.disabled = !shown;
    this.#measureButton.disabled = !shown || this.#camera.on;
  }

  /** As `retinaface detect --json` prints them, rounded for reading. */
  #toJson({ name, picture: { width, height } }: Shown): string {
    const faces = this.#visible.filter(({ out }) => !out).map(({ face }) => face);
    const round = (key: string, value: unknown): unknown =>
      typeof value === 'number' ? Number(value.toFixed(key === 'score' ? 4 : 2)) : value;
    return JSON.stringify({ file: name, width, height, faces }, round, 2);
  }

  #summary(): string {
    const faces = this.#visible;
    const out = faces.filter((face) => face.out).length;
    const leftOut = out > 0 ? `, ${out} left out` : '';
    return `${count(faces.length, 'face')} in ${this.#shown?.name ?? 'the picture'}${leftOut}.`;
  }

  #toggle(key: FaceKey): void {
    const shown = this.#shown;
    if (!shown) return;
    if (!shown.out.delete(key)) shown.out.add(key);
    this.#render();
    this.#speaker.say(this.#summary());
  }

  #fail(trouble: Trouble): void {
    this.#speaker.fail(trouble);
    // Pictures are at hand all the same.
    if (!this.#current && this.#entries[0]) void this.#open(this.#entries[0]);
  }

  async #copy(): Promise<void> {
    const text = this.#json.textContent;
    try {
      await navigator.clipboard.writeText(text);
      this.#speaker.say('Copied.');
    } catch {
      const details = this.#json.closest('details');
      if (details) details.open = true;
      getSelection()?.selectAllChildren(this.#json);
      this.#speaker.say('The browser does not let the page copy. The text is selected: copy it by keyboard.');
    }
  }

  // Scenes and camera

  async #drawScene(): Promise<void> {
    this.#drawButton.disabled = true;
    this.#speaker.say('Drawing a scene…');
    const worker = new Worker(new URL('app/draw_worker.js', document.baseURI), { type: 'module' });
    try {
      const blob = await new Promise<Blob>((resolve, reject) => {
        worker.addEventListener('message', ({ data }: MessageEvent<Blob>) => {
          resolve(data);
        });
        worker.addEventListener('error', (event) => {
          reject(new Error(event.message || 'the scene could not be drawn'));
        });
        worker.postMessage(Math.floor(Math.random() * 2 ** 31));
      });
      const entry: Entry = { name: `drawn scene ${++this.#scenes}`, address: URL.createObjectURL(blob), source: blob };
      this.#add(entry);
      await this.#open(entry);
    } catch (error) {
      this.#fail(troubleOf(error));
    } finally {
      worker.terminate();
      this.#drawButton.disabled = false;
    }
  }

  async #startCamera(): Promise<void> {
    this.#cameraButton.disabled = true;
    try {
      await this.#camera.start();
    } catch (error) {
      const refused = error instanceof DOMException && error.name === 'NotAllowedError';
      this.#speaker.fail({
        title: refused ? 'The camera was not allowed' : 'No camera came',
        text: refused
          ? 'Allow it beside the page’s address, and press Camera again. Its pictures stay in this tab.'
          : `${error instanceof Error ? error.message : String(error)}. Pictures work without one.`,
      });
      return;
    } finally {
      this.#cameraButton.disabled = false;
    }
    this.#speaker.clear();
    this.#asked++;
    this.#clear();
    this.#current = undefined;
    this.#image.hidden = true;
    this.#video.hidden = false;
    this.#stillButton.hidden = false;
    this.#cameraButton.textContent = 'Stop the camera';
    for (const button of this.#strip.querySelectorAll('button')) button.setAttribute('aria-current', 'false');
    this.#speaker.say('The camera is on. Its pictures stay in this tab.');
    await this.#follow();
  }

  /** Searches frame after frame, always the newest, until the camera goes off: each face keeps its number, and stays left out. */
  async #follow(): Promise<void> {
    const engine = this.#engine;
    if (!engine) return;
    const following = ++this.#followed;
    const took: number[] = [];
    const out = new Set<FaceKey>();
    let listed = -Infinity;
    let pixels: Picture | undefined;
    let since = performance.now();
    let found: Found | undefined;
    const detect = async (frame: PictureInput): Promise<readonly Face[]> => {
      found = await engine.find(frame as ImageBitmap, this.#settings);
      return found.faces;
    };
    const tracker = new FaceTracker({ detect }, { scoreThreshold: LEAST });
    try {
      for (let frame = await this.#camera.frame(); frame; frame = await this.#camera.frame()) {
        using taken = closing(frame);
        if (!engine.ready) continue;
        const began = performance.now();
        const faces = await tracker.next(taken.frame);
        const { milliseconds, first } = found!;
        const now = performance.now();
        const list = now - listed > LIST_EVERY || pixels?.width !== taken.frame.width;
        // Only what is cut out needs pixels here: the search takes the frame on the graphics card.
        if (list) pixels = await readImage(taken.frame);
        if (!this.#camera.on || following !== this.#followed || !pixels) return;
        if (first) this.#time(ONCE[3], milliseconds);
        else {
          this.#each.set('Find the faces', milliseconds);
          this.#each.set('From frame to boxes', now - began);
          took.push(now - since);
          if (took.length > 30) took.shift();
          this.#each.set('From frame to frame', median(took));
        }
        since = now;
        if (list) listed = now;
        this.#shown = { name: 'camera', picture: pixels, faces, out };
        this.#render({ list });
      }
    } catch (error) {
      this.#stopCamera();
      this.#fail(troubleOf(error));
    }
  }

  #stopCamera(back = true): void {
    this.#camera.stop();
    this.#video.hidden = true;
    this.#stillButton.hidden = true;
    this.#cameraButton.textContent = 'Camera';
    for (const name of ['From frame to boxes', 'From frame to frame']) this.#each.delete(name);
    if (back && this.#entries[0]) void this.#open(this.#entries[0]);
  }

  async #keepFrame(): Promise<void> {
    const blob = await this.#camera.still();
    const entry: Entry = { name: `camera ${++this.#scenes}`, address: URL.createObjectURL(blob), source: blob };
    this.#add(entry);
    await this.#open(entry);
  }

  // Times

  #time(name: (typeof ONCE)[number], milliseconds: number): void {
    this.#once.set(name, milliseconds);
    this.#showTimes();
  }

  #showTimes(): void {
    showTimes(byId('times-once', HTMLTableSectionElement), inOrder(this.#once, ONCE));
    showTimes(byId('times-each', HTMLTableSectionElement), inOrder(this.#each, EACH));
  }

  /** What the device's own clock said of another search. */
  #dropParts(): void {
    for (const name of EACH) if (name.startsWith(' ')) this.#each.delete(name);
  }

  async #measure(): Promise<void> {
    const shown = this.#shown;
    const entry = this.#current;
    const engine = this.#engine;
    if (!shown || !entry || !engine) return;
    this.#measureButton.disabled = true;
    const asked = ++this.#asked;
    const times = new Map<string, number[]>();
    const add = (name: string, milliseconds: number): void => {
      times.set(name, [...(times.get(name) ?? []), milliseconds]);
    };
    try {
      for (let i = 0; i < REPETITIONS && asked === this.#asked; i++) {
        this.#speaker.say(`Measuring: ${i + 1} of ${REPETITIONS}`);
        const began = performance.now();
        const picture = await readImage(entry.source);
        add('Read the picture', performance.now() - began);
        const { milliseconds, first } = await engine.find(picture, this.#settings);
        if (!first) add('Find the faces', milliseconds);
        this.#render();
        for (const name of ['Turn faces upright', 'Draw them']) add(name, this.#each.get(name) ?? NaN);
      }
      const parts = await engine.profile(shown.picture, this.#settings);
      if (asked !== this.#asked) return;
      for (const [name, values] of times) this.#each.set(name, median(values));
      this.#dropParts();
      if (parts && parts.network > 0) {
        this.#each.set(EACH[2], parts.prepare);
        this.#each.set(EACH[3], parts.network);
        this.#each.set(EACH[4], parts.choose);
      }
      this.#showTimes();
      this.#speaker.say(
        `Measured: ${(times.get('Find the faces') ?? []).length} searches, of which the middle one is shown.`,
      );
    } catch (error) {
      this.#fail(troubleOf(error));
    } finally {
      this.#measureButton.disabled = this.#shown === undefined;
    }
  }
}

function closing(frame: ImageBitmap): Disposable & { readonly frame: ImageBitmap } {
  return {
    frame,
    [Symbol.dispose]() {
      frame.close();
    },
  };
}

const EMPTY: Picture = { data: new Uint8Array(4), width: 1, height: 1 };

const EACH = [
  'Read the picture',
  'Find the faces',
  ' on the card: scale and prepare',
  ' on the card: network',
  ' on the card: choose boxes',
  'From frame to boxes',
  'From frame to frame',
  'Turn faces upright',
  'Draw them',
] as const;

/** The entries of a map in an order. */
function inOrder(times: ReadonlyMap<string, number>, order: readonly string[]): Map<string, number> {
  return new Map(order.flatMap((name) => (times.has(name) ? [[name, times.get(name)!] as const] : [])));
}
