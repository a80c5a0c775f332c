// Plain text that grows: users' messages, thinking, and what tools get and return. In people's messages, URLs become links.
// Answers are shown by markdown/view.js, which has the same interface. Called at most once per animation frame.

import { endOfPiece, limitMarks } from "../i18n/graphemes.js";
import { findLinks } from "../markdown/inline.js";
import { link } from "../markdown/prose.js";
import { el } from "../ui/dom.js";

export class TextView {
  #element;
  #links;
  #text = "";
  #rest = ""; // what stands in the last piece: appending never lays out more, however long the text is
  /** @type {HTMLElement|null} the last piece */
  #piece = null;

  /**
   * @param {HTMLElement & {source?: string}} element its `source` is always exactly the text
   * @param {{links?: boolean}} [options] `links`: URLs become links
   */
  constructor(element, { links = false } = {}) {
    this.#element = element;
    this.#links = links;
  }

  /** @param {string} text */
  append(text) {
    if (!text) return;
    this.#text = this.#element.source = this.#text + text;
    this.#rest += text;
    for (let end; ; this.#rest = this.#rest.slice(end), this.#piece = null) {
      end = endOfPiece(this.#rest, 0);
      this.#piece ??= this.#element.appendChild(el("span", { class: "piece" }));
      this.#show(this.#piece, limitMarks(this.#rest.slice(0, end)));
      if (end === this.#rest.length) return;
    }
  }

  /** Shows a text and keeps the nodes of its beginning, if that is shown already. @param {string} text */
  set(text) {
    if (!text.startsWith(this.#text)) {
      this.#element.replaceChildren();
      this.#piece = null;
      this.#text = this.#rest = this.#element.source = "";
    }
    this.append(text.slice(this.#text.length));
  }

  /** Keeps the node that grows, unless something else, such as a translator, has replaced it. @param {HTMLElement} piece  @param {string} text */
  #show(piece, text) {
    const { firstChild: node, childNodes } = piece;
    const links = this.#links ? findLinks(text) : [];
    if (node instanceof Text && childNodes.length === 1 && !links.length && text.startsWith(node.data))
      return node.appendData(text.slice(node.length));
    let from = 0;
    const nodes = links.flatMap(({ start, end, url }) => {
      const before = text.slice(from, start);
      from = end;
      return [before, link(url, [text.slice(start, end)])];
    });
    piece.replaceChildren(...nodes, text.slice(from));
  }
}

/** Fills an element with a text that does not grow. @template {HTMLElement} T  @param {T} element  @param {string} text */
export function fill(element, text) {
  new TextView(element).set(text);
  return element;
}
