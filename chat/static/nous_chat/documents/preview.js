// What a document looks like, next to its source, also while it is written. Drawing waits longer, the longer the last one
// took, so that typing stays quick. Used by pane.js.

import { MarkdownView } from "../markdown/view.js";
import { el } from "../ui/dom.js";
import { Drawing } from "./drawing.js";
import { documentStrings as texts } from "./strings.js";
import { Table } from "./table.js";
import { WebPage } from "./web-page.js";

/**
 * @import { Document, DocumentKind, Writing } from "../protocol/types.d.ts"
 *
 * @typedef {object} Source
 * @property {() => string} text
 * @property {() => Writing|null} writing
 * @property {() => number} version
 *
 * @typedef {object} View
 * @property {HTMLElement} element
 * @property {(text: string, open: boolean, version: number) => void} show  `open`: more of it follows
 */

const SHORTEST_WAIT = 50; // ms
const SHARE = 4; // of the time, one part is for drawing and the others for the rest of the page

class Markdown {
  #view;

  constructor() {
    this.element = el("div", { class: "document-text" });
    this.#view = new MarkdownView(this.element);
  }

  /** @param {string} text  @param {boolean} open */
  show(text, open) {
    this.#view.set(text, open);
  }
}

/** @type {Partial<Record<DocumentKind, new (document: Document) => View>>} */
const VIEWS = { markdown: Markdown, csv: Table, html: WebPage, svg: Drawing, mermaid: Drawing };

export class Preview {
  #source;
  #view;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  #took = 0;
  /** @type {string|null} */
  #shown = null;
  #open = false;

  /** The preview of a document; null for code, which is its own. @param {Document} document  @param {Source} source */
  static for(document, source) {
    const View = VIEWS[document.kind];
    return View ? new Preview(new View(document), document, source) : null;
  }

  /** @param {View} view  @param {Document} document  @param {Source} source */
  constructor(view, document, source) {
    this.#view = view;
    this.#source = source;
    this.element = el(
      "div",
      {
        class: "document-preview",
        role: "region",
        "aria-label": texts.previewOf(document.title),
        tabindex: "0",
        "data-kind": document.kind,
      },
      view.element,
    );
    this.changed();
  }

  /** The text has changed, or the preview has become visible. */
  changed() {
    this.#timer ??= setTimeout(() => this.#draw(), Math.max(SHORTEST_WAIT, this.#took * SHARE));
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = -1; // nothing is drawn from here on
  }

  #draw() {
    this.#timer = undefined;
    if (!this.element.checkVisibility()) return;
    const writing = this.#source.writing();
    const whole = this.#source.text();
    // Text that is being replaced is hidden, so a text that an agent rewrites only grows.
    const text = writing ? whole.slice(0, writing.at) + whole.slice(writing.to) : whole;
    const open = writing !== null && writing.to === whole.length;
    if (text === this.#shown && open === this.#open) return;
    const { scrollTop } = this.element;
    const start = performance.now();
    this.#view.show(text, open, this.#source.version());
    this.#took = performance.now() - start;
    this.#shown = text;
    this.#open = open;
    if (this.element.scrollTop !== scrollTop) this.element.scrollTop = scrollTop;
  }
}
