// An SVG or Mermaid document as a picture: an image with a `data:` URL, in which nothing runs and which loads nothing. Used
// by preview.js.

import { strings } from "../i18n/strings.js";
import { draw, isDark } from "../markdown/diagram.js";
import { site } from "../markdown/site.js";
import { el } from "../ui/dom.js";
import { documentStrings as texts } from "./strings.js";

export class Drawing {
  #document;
  #latest = 0;
  #image;
  #status = el("p", { class: "blank", role: "status" }, strings.drawing);

  /** @param {import("../protocol/types.d.ts").Document} document */
  constructor(document) {
    this.#document = document;
    this.#image = el("img", { alt: document.title, hidden: true, onerror: () => this.#fail() });
    this.element = el("div", { class: "document-drawing" }, this.#image, this.#status);
  }

  /** @param {string} text */
  async show(text) {
    const number = ++this.#latest;
    try {
      const svg = await this.#draw(text);
      if (number === this.#latest) this.#place(svg);
    } catch {
      if (number === this.#latest) this.#fail();
    }
  }

  /** @param {string} text */
  async #draw(text) {
    if (this.#document.kind === "svg") return text;
    if (!site.diagram || !text.trim()) throw new Error("nothing can be drawn");
    return draw(text, isDark(this.element));
  }

  /** @param {string} svg */
  #place(svg) {
    this.#image.src = `data:image/svg+xml,${encodeURIComponent(svg.toWellFormed?.() ?? svg)}`;
    this.#image.hidden = false;
    this.#status.hidden = true;
  }

  /** What was drawn last stays visible, because most sources are incomplete for a moment while they are written. */
  #fail() {
    this.#status.textContent = texts.noPreview;
    this.#status.hidden = false;
    if (this.#document.kind === "svg") this.#image.hidden = true;
  }
}
