// Plain text that grows: users' messages, thinking, and what tools get and return. In people's messages, URLs become links.
// Answers are shown by markdown/view.js, which has the same interface. Called at most once per animation frame.

import { endOfPiece, limitMarks } from "../i18n/graphemes.js";
import { strings } from "../i18n/strings.js";
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

/** A model's thinking: a disclosure whose summary is the last sentence while it streams. */
export class Thinking {
  #summary;
  #view;
  #text = "";
  #active = false;

  constructor() {
    const text = el("div", { class: "thought" });
    this.#summary = el("summary");
    this.#view = new TextView(text);
    this.element = el("details", { "data-part": "thinking", dir: "auto" }, this.#summary, text);
  }

  /** @param {string} text all of it  @param {boolean} active true while the model is thinking this */
  set(text, active) {
    this.#text = text.replace(/^\n+/, ""); // a blank line divides it from earlier thinking
    this.#active = active;
    this.#view.set(this.#text);
    this.#summarize();
  }

  /** @param {string} text added at its end */
  append(text) {
    this.#text += text;
    this.#view.append(text);
    this.#summarize();
  }

  #summarize() {
    this.#summary.textContent = this.#active ? lastSentence(this.#text) : strings.thought;
  }
}

/** The last sentence so far; looks only at the last 400 characters. @param {string} thinking */
function lastSentence(thinking) {
  const sentences = thinking
    .slice(-400)
    .trim()
    .split(/(?<=[.!?…])\s+|\n+/);
  return (sentences.at(-1) ?? "").replace(/[*#_`]/g, "").slice(-160) || strings.thinking;
}
