import { byId, html } from './dom.js';
import type { Trouble } from './trouble.js';

/** Where a room speaks: its line of status, which screen readers read out, and its notice of what went wrong. */
export class Speaker {
  readonly #status: HTMLElement;
  readonly #notice: HTMLElement;

  /** By the ids of both. */
  constructor(status: string, notice: string) {
    this.#status = byId(status, HTMLElement);
    this.#notice = byId(notice, HTMLElement);
  }

  /** What is said again is not read out again. */
  say(text: string): void {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  fail(trouble: Trouble): void {
    this.#notice.replaceChildren(html('strong', {}, trouble.title), trouble.text);
    this.#notice.hidden = false;
    this.say(`${trouble.title}.`);
  }

  /** Takes the notice away. */
  clear(): void {
    this.#notice.replaceChildren();
    this.#notice.hidden = true;
  }
}
