// Source, split, or preview: a choice of the reader for each kind of document, while the page is open. Used by pane.js.

import { el } from "../ui/dom.js";
import { documentStrings as texts } from "./strings.js";

/**
 * @import { DocumentKind } from "../protocol/types.d.ts"
 * @typedef {"source"|"split"|"preview"} Mode
 */

const ROOM_FOR_BOTH = 560; // px of the pane, as in documents.css; in a narrower one, split shows the source

/** @type {Map<DocumentKind, Mode>} */
const chosen = new Map();

export class Modes {
  #place;
  #kind;
  #onChange;
  /** @type {Map<Mode, HTMLElement>} */
  #buttons = new Map();

  /** @type {Mode} */
  #fallback;

  /**
   * @param {HTMLElement} place  its `data-mode` is what styles need
   * @param {{kind: DocumentKind, text: string}} document
   * @param {() => void} onChange
   */
  constructor(place, { kind, text }, onChange) {
    const narrow = place.clientWidth < ROOM_FOR_BOTH;
    this.#fallback = narrow ? (text ? "preview" : "source") : "split";
    this.#place = place;
    this.#kind = kind;
    this.#onChange = onChange;
    for (const mode of /** @type {const} */ (["source", "split", "preview"])) {
      this.#buttons.set(
        mode,
        el("button", { type: "button", onclick: () => this.#choose(mode), "data-mode": mode }, texts.modes[mode]),
      );
    }
    this.element = el(
      "div",
      { class: "document-modes", role: "group", "aria-label": texts.view },
      ...this.#buttons.values(),
    );
    this.#show();
  }

  /** @type {Mode} */
  get current() {
    return chosen.get(this.#kind) ?? this.#fallback;
  }

  /** @param {Mode} mode */
  #choose(mode) {
    chosen.set(this.#kind, mode);
    this.#show();
    this.#onChange();
  }

  #show() {
    const { current } = this;
    this.#place.dataset.mode = current;
    for (const [mode, button] of this.#buttons) button.setAttribute("aria-pressed", String(mode === current));
  }
}
