// Plain text that grows: users' messages and thinking. In people's messages, URLs become links. Answers are shown by
// markdown/view.js, which has the same interface. Called at most once per animation frame.

import { findLinks } from "../markdown/inline.js";
import { link } from "../markdown/prose.js";
import { el } from "../ui/dom.js";

// A block ends at the next line end after this many characters, so that appending never lays out more than the last
// block, however long the text is. The line end itself stands between the blocks: invisible, but copied.
const BLOCK_LENGTH = 2000;

export class TextView {
  #element;
  /** @type {HTMLElement|null} the last block, if it may grow */
  #block = null;
  #tail = new Text();
  #from = 0; // where the last block begins in the text
  #text = "";
  #links;

  /**
   * @param {HTMLElement & {source?: string}} element its textContent and its `source` are always exactly the text
   * @param {{links?: boolean}} [options] `links`: URLs become links; such a text is set, it does not grow
   */
  constructor(element, { links = false } = {}) {
    this.#element = element;
    this.#links = links;
  }

  /** @param {string} text */
  append(text) {
    const before = this.#text;
    this.#text = this.#element.source = before + text;
    this.#repair(before);
    let rest = text;
    while (rest) {
      this.#block ??= this.#addBlock(this.#text.length - rest.length);
      const end = rest.indexOf("\n", Math.max(0, BLOCK_LENGTH - this.#tail.length));
      this.#tail.appendData(end < 0 ? rest : rest.slice(0, end));
      if (end < 0) return;
      this.#element.append("\n");
      this.#block = null;
      rest = rest.slice(end + 1);
    }
  }

  /** Shows a text and keeps the nodes of its beginning, if that is shown already. @param {string} text */
  set(text) {
    if (this.#links) return this.#setWithLinks(text);
    if (text.startsWith(this.#text)) return this.append(text.slice(this.#text.length));
    this.#element.replaceChildren();
    this.#block = null;
    this.#text = "";
    this.append(text);
  }

  /** @param {string} text */
  #setWithLinks(text) {
    if (text === this.#text) return;
    this.#text = this.#element.source = text;
    let from = 0;
    const nodes = findLinks(text).flatMap(({ start, end, url }) => {
      const before = text.slice(from, start);
      from = end;
      return [before, link(url, [text.slice(start, end)])];
    });
    this.#element.replaceChildren(el("div", {}, ...nodes, text.slice(from)));
  }

  /** @param {number} from */
  #addBlock(from) {
    this.#from = from;
    this.#tail = new Text();
    const block = document.createElement("div");
    block.append(this.#tail);
    this.#element.append(block);
    return block;
  }

  /** Fills the last block again if something else, such as a translator, has replaced its text node. @param {string} text */
  #repair(text) {
    if (!this.#block || this.#tail.parentNode === this.#block) return;
    this.#tail = new Text(text.slice(this.#from));
    this.#block.replaceChildren(this.#tail);
  }
}
