// The weights to choose from: those that lie beside the page, those that a catalogue names, and the visitor's own.
import { type NamedWeights, namedWeights, type WeightsSource } from '../../src/browser/index.js';
import { html, megabytes } from '../dom.js';

/** Weights that can be loaded, with what is told of them. */
export interface Choice {
  readonly name: string;
  readonly about: string;
  /** What `load` takes. */
  readonly source: WeightsSource;
}

/** True for weights that lie beside the page; the others are fetched from where they are published. */
const isBeside = (weights: NamedWeights): boolean => !('addresses' in weights);

function choiceOf(weights: NamedWeights): Choice {
  const { name, file, licence, source, bytes, precision } = weights;
  const figures = precision.map((value) => value.toFixed(2)).join(' / ');
  const about = `${megabytes(bytes)}, from ${source}. Licence: ${licence}. Average precision ${figures} (easy / medium / hard).`;
  return isBeside(weights)
    ? { name, about, source: new URL(`weights/${file}`, document.baseURI) }
    : { name, about: `${about} Fetched from GitHub when chosen, checked by SHA-256, and kept.`, source: name };
}

export class WeightsChooser {
  readonly #select: HTMLSelectElement;
  readonly #hint: HTMLElement;
  readonly #choices: Choice[];
  readonly #own: HTMLOptGroupElement;
  readonly #onChoose: (choice: Choice) => void;

  constructor(select: HTMLSelectElement, hint: HTMLElement, onChoose: (choice: Choice) => void) {
    this.#select = select;
    this.#hint = hint;
    this.#onChoose = onChoose;
    const named = namedWeights();
    this.#choices = named.map(choiceOf);
    const group = (label: string, weights: readonly NamedWeights[]): HTMLOptGroupElement =>
      html('optgroup', { label }, ...weights.map(({ name }) => html('option', { value: name }, name)));
    this.#own = html('optgroup', { label: 'Yours', hidden: true });
    const beside = named.filter(isBeside);
    const published = named.filter((weights) => !isBeside(weights));
    select.replaceChildren(group('With this page', beside), group('From the catalogue', published), this.#own);
    select.addEventListener('change', () => {
      this.#changed();
    });
    this.#describe();
  }

  get chosen(): Choice {
    return this.#choices.find(({ name }) => name === this.#select.value)!;
  }

  /** Adds weights of the visitor's own, or replaces those of the same name, and chooses them. */
  add(choice: Choice): void {
    const at = this.#choices.findIndex(({ name }) => name === choice.name);
    if (at >= 0) this.#choices[at] = choice;
    else {
      this.#choices.push(choice);
      this.#own.append(html('option', { value: choice.name }, choice.name));
      this.#own.hidden = false;
    }
    this.#select.value = choice.name;
    this.#changed();
  }

  /** Back to weights that can be used, without loading them again. */
  show(name: string): void {
    this.#select.value = name;
    this.#describe();
  }

  #changed(): void {
    this.#describe();
    this.#onChoose(this.chosen);
  }

  #describe(): void {
    this.#hint.textContent = this.chosen.about;
  }
}
