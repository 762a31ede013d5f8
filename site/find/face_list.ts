// The faces of a result as a list: what each looks like when it is turned upright, and a button that leaves it out.
import { alignFace, type Face, type Picture } from '../../src/browser/index.js';
import { html } from '../dom.js';
import type { FaceKey, ShownFace } from './overlay.js';

const THUMBNAIL = 112;

/** What shows one face. */
interface Row {
  readonly item: HTMLLIElement;
  readonly canvas: HTMLCanvasElement;
  readonly name: HTMLElement;
  readonly size: HTMLElement;
  readonly button: HTMLButtonElement;
}

export class FaceList {
  readonly #list: HTMLOListElement;
  readonly #onToggle: (key: FaceKey) => void;
  readonly #onPoint: (key: FaceKey | undefined) => void;
  #rows = new Map<FaceKey, Row>();

  constructor(list: HTMLOListElement, onToggle: (key: FaceKey) => void, onPoint: (key: FaceKey | undefined) => void) {
    this.#list = list;
    this.#onToggle = onToggle;
    this.#onPoint = onPoint;
  }

  /**
   * Shows the faces of a picture; answers the milliseconds that cutting them out took. A face that was shown before keeps its row,
   * and with it the keyboard's place.
   */
  show(faces: readonly ShownFace[], picture: Picture): number {
    let cutting = 0;
    const before = this.#rows;
    this.#rows = new Map(faces.map(({ key }) => [key, before.get(key) ?? this.#row(key)]));
    for (const [index, { face, key, out }] of faces.entries()) {
      const { item, canvas, name, size, button } = this.#rows.get(key)!;
      const began = performance.now();
      draw(canvas, picture, face);
      cutting += performance.now() - began;
      const { box, score } = face;
      const number = typeof key === 'number' ? key : index + 1;
      name.textContent = `Face ${number}: ${score.toFixed(3)}`;
      size.textContent = `${Math.round(box.x2 - box.x1)} × ${Math.round(box.y2 - box.y1)} px`;
      button.setAttribute('aria-label', `Leave out face ${number}`);
      button.setAttribute('aria-pressed', String(out));
      item.classList.toggle('out', out);
    }
    const items = [...this.#rows.values()].map(({ item }) => item);
    if (items.length !== this.#list.children.length || items.some((item, i) => item !== this.#list.children[i])) {
      const focused = document.activeElement;
      this.#list.replaceChildren(...items);
      if (focused instanceof HTMLElement && this.#list.contains(focused)) focused.focus({ preventScroll: true });
    }
    return cutting;
  }

  /** Makes one face stand out. */
  choose(key: FaceKey | undefined): void {
    for (const [each, { item }] of this.#rows) item.classList.toggle('chosen', each === key);
  }

  #row(key: FaceKey): Row {
    const canvas = html('canvas', { width: THUMBNAIL, height: THUMBNAIL });
    canvas.setAttribute('aria-hidden', 'true');
    const button = html('button', { type: 'button' }, 'Leave out');
    const name = html('span', { className: 'name' });
    const size = html('span', { className: 'what' });
    const item = html('li', {}, canvas, html('div', {}, name, size), button);
    button.addEventListener('click', () => {
      this.#onToggle(key);
    });
    for (const [element, enter, leave] of [
      [item, 'pointerenter', 'pointerleave'],
      [button, 'focus', 'blur'],
    ] as const) {
      element.addEventListener(enter, () => {
        this.#onPoint(key);
      });
      element.addEventListener(leave, () => {
        this.#onPoint(undefined);
      });
    }
    return { item, canvas, name, size, button };
  }
}

/** The face, turned upright; nothing where its points fall together, or where there are none. */
function draw(canvas: HTMLCanvasElement, picture: Picture, face: Face): void {
  const context = canvas.getContext('2d');
  context?.clearRect(0, 0, THUMBNAIL, THUMBNAIL);
  if (!face.landmarks) return;
  try {
    const { data } = alignFace(picture, face, { size: THUMBNAIL });
    context?.putImageData(new ImageData(new Uint8ClampedArray(data), THUMBNAIL, THUMBNAIL), 0, 0);
  } catch {
    // Its place stays empty.
  }
}
