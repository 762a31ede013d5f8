// The faces of a result as a list: what each looks like when it is turned upright, and a button that leaves it out.
import { alignFace, type Picture } from '../../src/browser/index.js';
import { html } from '../dom.js';
import type { ShownFace } from './overlay.js';

const THUMBNAIL = 112;

export class FaceList {
  readonly #list: HTMLOListElement;
  readonly #onToggle: (index: number) => void;
  readonly #onPoint: (index: number | undefined) => void;

  constructor(list: HTMLOListElement, onToggle: (index: number) => void, onPoint: (index: number | undefined) => void) {
    this.#list = list;
    this.#onToggle = onToggle;
    this.#onPoint = onPoint;
  }

  /**
   * Shows the faces of a picture, without buttons where it is one of many (`passing`); answers the milliseconds that cutting
   * them out took.
   */
  show(faces: readonly ShownFace[], picture: Picture, passing = false): number {
    let cutting = 0;
    const items = faces.map(({ face, out }, index) => {
      const { box, score, landmarks } = face;
      const canvas = html('canvas', { width: THUMBNAIL, height: THUMBNAIL });
      if (landmarks) {
        const began = performance.now();
        try {
          const aligned = alignFace(picture, face, { size: THUMBNAIL });
          const pixels = new ImageData(new Uint8ClampedArray(aligned.data), THUMBNAIL, THUMBNAIL);
          canvas.getContext('2d')?.putImageData(pixels, 0, 0);
        } catch {
          // Points that fall together turn no face upright: its place stays empty.
        }
        cutting += performance.now() - began;
      }
      canvas.setAttribute('aria-hidden', 'true');
      const button = html('button', { type: 'button', hidden: passing }, 'Leave out');
      button.setAttribute('aria-label', `Leave out face ${index + 1}`);
      button.setAttribute('aria-pressed', String(out));
      button.addEventListener('click', () => {
        this.#onToggle(index);
      });
      const size = `${Math.round(box.x2 - box.x1)} × ${Math.round(box.y2 - box.y1)} px`;
      const words = html(
        'div',
        {},
        html('span', { className: 'name' }, `Face ${index + 1}: ${score.toFixed(3)}`),
        html('span', { className: 'what' }, size),
      );
      const item = html('li', {}, canvas, words, button);
      item.addEventListener('pointerenter', () => {
        this.#onPoint(index);
      });
      item.addEventListener('pointerleave', () => {
        this.#onPoint(undefined);
      });
      button.addEventListener('focus', () => {
        this.#onPoint(index);
      });
      button.addEventListener('blur', () => {
        this.#onPoint(undefined);
      });
      item.classList.toggle('out', out);
      return item;
    });
    this.#list.replaceChildren(...items);
    return cutting;
  }

  /** Shows that a face is left out, or is back; the list stays as it is otherwise, and with it the keyboard's place. */
  mark(index: number, out: boolean): void {
    const item = this.#list.children[index];
    item?.classList.toggle('out', out);
    item?.querySelector('button')?.setAttribute('aria-pressed', String(out));
  }

  /** Makes one face stand out. */
  choose(index: number | undefined): void {
    for (const [i, item] of [...this.#list.children].entries()) item.classList.toggle('chosen', i === index);
  }
}
