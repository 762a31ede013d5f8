// Faces drawn over a picture as vectors, so that they are as sharp as the screen at any size and pixel density.
import type { Face } from '../../src/browser/index.js';
import { svg } from '../dom.js';

/** What a face stays the same by: itself in a picture, its number in a video. */
export type FaceKey = Face | number;

/** A face of a result, and whether a person left it out. */
export interface ShownFace {
  readonly face: Face;
  readonly key: FaceKey;
  readonly out: boolean;
}

const LABEL_HEIGHT = 17;
/** Boxes that are narrower on the screen carry no score: in crowds it would cover the neighbours. */
const LABELLED = 34;

export class Overlay {
  readonly #root: SVGSVGElement;
  #faces: readonly ShownFace[] = [];
  #size = { width: 1, height: 1 };
  #chosen: FaceKey | undefined;

  /** `onPress`: a face was clicked. */
  constructor(root: SVGSVGElement, onPress: (key: FaceKey) => void, onPoint: (key: FaceKey | undefined) => void) {
    this.#root = root;
    root.setAttribute('preserveAspectRatio', 'none');
    root.addEventListener('click', (event) => {
      const key = this.#at(event);
      if (key !== undefined) onPress(key);
    });
    root.addEventListener('pointermove', (event) => {
      onPoint(this.#at(event));
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
    this.#draw();
  }

  /** Makes one face stand out. */
  choose(key: FaceKey | undefined): void {
    if (key === this.#chosen) return;
    this.#chosen = key;
    for (const group of this.#root.querySelectorAll('.face')) {
      const face = this.#faces[Number(group.getAttribute('data-index'))];
      group.classList.toggle('chosen', key !== undefined && face?.key === key);
    }
  }

  /** The best face under the pointer, by its place: what is drawn there may be another element in the next frame. */
  #at({ clientX, clientY }: MouseEvent): FaceKey | undefined {
    const shown = this.#root.getBoundingClientRect();
    const x = ((clientX - shown.left) / shown.width) * this.#size.width;
    const y = ((clientY - shown.top) / shown.height) * this.#size.height;
    return this.#faces.find(({ face: { box } }) => x >= box.x1 && x <= box.x2 && y >= box.y1 && y <= box.y2)?.key;
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

  #group({ face, key, out }: ShownFace, index: number, pixel: number): SVGGElement {
    const { box, landmarks, score } = face;
    const rectangle = {
      x: box.x1,
      y: box.y1,
      width: Math.max(0, box.x2 - box.x1),
      height: Math.max(0, box.y2 - box.y1),
      rx: 3 * pixel,
    };
    const chosen = this.#chosen === key ? ' chosen' : '';
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
