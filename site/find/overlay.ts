// Faces drawn over a picture as vectors, so that they are as sharp as the screen at any size and pixel density.
import type { Face } from '../../src/browser/index.js';
import { svg } from '../dom.js';

/** A face of a result, and whether a person left it out. */
export interface ShownFace {
  readonly face: Face;
  readonly out: boolean;
}

const LABEL_HEIGHT = 17;
/** Boxes that are narrower on the screen carry no score: in crowds it would cover the neighbours. */
const LABELLED = 34;

export class Overlay {
  readonly #root: SVGSVGElement;
  #faces: readonly ShownFace[] = [];
  #size = { width: 1, height: 1 };
  #chosen: number | undefined;

  /** `onPress`: a face was clicked, by its place among those shown. */
  constructor(root: SVGSVGElement, onPress: (index: number) => void, onPoint: (index: number | undefined) => void) {
    this.#root = root;
    root.setAttribute('preserveAspectRatio', 'none');
    const indexOf = (target: EventTarget | null): number | undefined => {
      const index = target instanceof Element ? target.closest('.face')?.getAttribute('data-index') : undefined;
      return index === undefined || index === null ? undefined : Number(index);
    };
    root.addEventListener('click', ({ target }) => {
      const index = indexOf(target);
      if (index !== undefined) onPress(index);
    });
    root.addEventListener('pointermove', ({ target }) => {
      onPoint(indexOf(target));
    });
    root.addEventListener('pointerleave', () => {
      onPoint(undefined);
    });
    new ResizeObserver(() => {
      this.#draw();
    }).observe(root);
  }

  /** Shows faces in pixels of a picture of that size. */
  show(faces: readonly ShownFace[], size: { readonly width: number; readonly height: number }): void {
    this.#faces = faces;
    this.#size = size;
    this.#chosen = undefined;
    this.#draw();
  }

  /** Makes one face stand out. */
  choose(index: number | undefined): void {
    if (index === this.#chosen) return;
    this.#chosen = index;
    for (const group of this.#root.querySelectorAll('.face')) {
      group.classList.toggle('chosen', index !== undefined && group.getAttribute('data-index') === String(index));
    }
  }

  #draw(): void {
    const { width, height } = this.#size;
    this.#root.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const shown = this.#root.getBoundingClientRect().width;
    /** What a pixel of the screen measures in the picture. */
    const pixel = shown > 0 ? width / shown : 1;
    // The best last, so that it lies on top.
    const groups = this.#faces.map((each, index) => this.#group(each, index, pixel)).reverse();
    this.#root.replaceChildren(...groups);
  }

  #group({ face, out }: ShownFace, index: number, pixel: number): SVGGElement {
    const { box, landmarks, score } = face;
    const rectangle = {
      x: box.x1,
      y: box.y1,
      width: Math.max(0, box.x2 - box.x1),
      height: Math.max(0, box.y2 - box.y1),
      rx: 3 * pixel,
    };
    const chosen = this.#chosen === index ? ' chosen' : '';
    const group = svg('g', { class: `face${out ? ' out' : ''}${chosen}`, 'data-index': index });
    group.append(
      svg('title', {}, out ? 'Press to put it back' : 'Press to leave it out'),
      svg('rect', { class: 'halo', ...rectangle }),
      svg('rect', { class: 'box', ...rectangle }),
    );
    const radius = Math.min(3, Math.max(1.25, rectangle.width / pixel / 26)) * pixel;
    for (const { x, y } of Object.values<{ readonly x: number; readonly y: number }>({ ...landmarks })) {
      group.append(svg('circle', { class: 'point', cx: x, cy: y, r: radius }));
    }
    if (rectangle.width / pixel >= LABELLED) {
      const above = box.y1 > LABEL_HEIGHT * pixel;
      const top = above ? box.y1 - LABEL_HEIGHT * pixel : box.y1;
      const left = Math.max(0, box.x1);
      group.append(
        svg('rect', {
          class: 'plate',
          x: left,
          y: top,
          width: 32 * pixel,
          height: LABEL_HEIGHT * pixel,
          rx: 3 * pixel,
        }),
        svg(
          'text',
          { class: 'score', x: left + 4 * pixel, y: top + 13 * pixel, 'font-size': 12 * pixel },
          score.toFixed(2),
        ),
      );
    }
    return group;
  }
}
