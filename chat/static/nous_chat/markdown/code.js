// A block of code that grows line by line: language, Wrap, Copy, and folding. It is highlighted in idle time. Used by
// view.js.

import { cut, endOfPiece, limitMarks, PIECE } from "../i18n/graphemes.js";
import { strings } from "../i18n/strings.js";
import { copyText } from "../ui/clipboard.js";
import { el, textButton } from "../ui/dom.js";
import { Colours } from "./colours.js";
import { Diagram } from "./diagram.js";

const FOLDED = 30; // lines, as in markdown.css
const CHUNK = 50; // lines laid out together, of PIECE characters at most; appending never lays out more
const COPIED = 2000; // ms

export class CodeView {
  /** The element in which text appears. @type {HTMLElement} */
  tip;
  #block;
  #pre;
  #copy;
  #fold;
  /** @type {Colours} */
  #colours;
  #read = 0; // characters of the text that are in lines
  #lines = 0;
  /** @type {{plain: Text, lengths: number[], size: number}[]} the text node with the lines not highlighted yet; the lengths of all */
  #chunks = [];
  #painting = { chunk: 0, line: 0 }; // what is highlighted next
  #tail = new Text(); // the line whose end has not come
  /** @type {HTMLElement|null} where the tail stands */
  #tailPlace = null;

  /** @param {import("./blocks.js").Code} block */
  constructor(block) {
    const { language } = (this.#block = block);
    /** @type {HTMLButtonElement} */
    const wrap = textButton(
      strings.wrap,
      () => wrap.setAttribute("aria-pressed", String(this.#pre.toggleAttribute("data-wrap"))),
      { class: null, "aria-pressed": "false" },
    );
    this.#pre = el("pre", { tabindex: "0", "aria-label": strings.code(language) });
    this.#copy = textButton(strings.copy, () => this.#copyText(), { class: null });
    this.#fold = textButton("", () => this.#unfold(), { class: "fold", hidden: true });
    const diagram = language.toLowerCase() === "mermaid" ? new Diagram(() => block.text) : null;
    this.element = el(
      "div",
      { class: "code", dir: "ltr", translate: "no" },
      el("div", { class: "title" }, el("span", { class: "language" }, language), diagram?.button, wrap, this.#copy),
      diagram?.element,
      this.#pre,
      this.#fold,
    );
    this.#pre.addEventListener("scroll", () => this.#pre.scrollTop > 0 && this.#unfold()); // find-in-page scrolls it
    this.#begin();
  }

  #begin() {
    /** @type {Colours} */
    const colours = new Colours(this.#block.language, (nodes) => colours === this.#colours && this.#paint(nodes));
    this.#colours = colours;
    this.#pre.replaceChildren();
    this.#chunks = [];
    this.#lines = this.#read = 0;
    this.#painting = { chunk: 0, line: 0 };
    this.#tailPlace = null;
    this.tip = this.#addChunk();
  }

  /** True if something else, such as a translator, has replaced nodes of the last lines. */
  get #replaced() {
    const { plain } = this.#chunks[this.#chunks.length - 1];
    return plain.parentNode !== this.tip || (this.#tailPlace !== null && this.#tail.parentNode !== this.#tailPlace);
  }

  /** @param {string} more of the line whose end has not come */
  update(more = "") {
    const { text, open } = this.#block;
    if (this.#replaced) this.#begin();
    for (let end = 0; (end = text.indexOf("\n", this.#read)) >= 0; this.#read = end + 1)
      this.#addLine(text.slice(this.#read, end));
    this.#showTail(text.slice(this.#read) + more);
    if (!open) this.#colours.end();
    if (this.#lines > FOLDED) this.#offerUnfold();
  }

  /** The line end between two chunks stands outside of them: invisible, but copied. */
  #addChunk() {
    const plain = new Text();
    if (this.#chunks.length) this.#pre.append("\n");
    this.#chunks.push({ plain, lengths: [], size: 0 });
    return this.#pre.appendChild(el("code", {}, plain));
  }

  /** @param {string} text */
  #addLine(text) {
    const line = limitMarks(text);
    const last = this.#chunks[this.#chunks.length - 1];
    const full = last.lengths.length === CHUNK || last.size + line.length > PIECE;
    if (full && last.lengths.length) this.tip = this.#addChunk();
    const chunk = this.#chunks[this.#chunks.length - 1];
    if (line.length > PIECE) this.tip.prepend(...piecesOf(line));
    else chunk.plain.appendData(chunk.lengths.length ? `\n${line}` : line);
    chunk.lengths.push(line.length);
    chunk.size += line.length;
    this.#lines += 1;
    this.#colours.add(line);
  }

  #offerUnfold() {
    this.#fold.textContent = strings.unfold(this.#lines);
    if (this.#pre.dataset.unfolded) return;
    this.#pre.toggleAttribute("data-folded", true);
    this.#fold.hidden = false;
  }

  /** @param {string} line */
  #showTail(line) {
    this.#tailPlace = line ? this.tip : null;
    if (!line) return this.#tail.remove();
    const shown = limitMarks(line.length > PIECE ? `${cut(line, PIECE)} …` : line);
    const data = this.#lines ? `\n${shown}` : shown;
    if (this.#tail.data !== data) this.#tail.data = data;
    if (this.#tail.parentNode !== this.tip) this.tip.append(this.#tail);
  }

  /** Replaces the next line with highlighted nodes. @param {Node[]} nodes */
  #paint(nodes) {
    const at = this.#painting;
    if (at.line === this.#chunks[at.chunk].lengths.length) this.#painting = { chunk: at.chunk + 1, line: 0 };
    const { plain, lengths } = this.#chunks[this.#painting.chunk];
    const line = this.#painting.line++;
    if (lengths[line] > PIECE) return;
    const before = line ? "\n" : "";
    plain.deleteData(0, before.length + lengths[line]);
    plain.before(before, ...nodes);
  }

  #unfold() {
    this.#pre.dataset.unfolded = "true";
    this.#pre.removeAttribute("data-folded");
    const focused = this.#fold.matches(":focus");
    this.#fold.hidden = true;
    if (focused) this.#pre.focus({ preventScroll: true });
  }

  async #copyText() {
    await copyText(this.#block.text.replace(/\n$/, ""));
    this.#copy.textContent = strings.copied;
    setTimeout(() => (this.#copy.textContent = strings.copy), COPIED);
  }
}

/** A line that is too long to be laid out at once. @param {string} line */
function* piecesOf(line) {
  for (let from = 0, end; from < line.length; from = end) {
    end = endOfPiece(line, from);
    yield el("span", { class: "piece" }, line.slice(from, end));
  }
}
