// A block of code, which grows by lines: what it is written in, wrapping, Copy, unfolding. Its colours follow in idle time.
// Called by view.js.

import { words } from "../i18n/strings.js";
import { el } from "../ui/dom.js";
import { Colours } from "./colours.js";
import { Diagram } from "./diagram.js";

const FOLDED = 30; // lines, as in markdown.css
const CHUNK = 50; // lines that are laid out together: appending never lays out more
const GROWING = 4000; // characters of a line that are shown before its end has come
const COPIED = 2000; // ms

export class CodeView {
  tip; // the element in which text appears
  #block;
  #pre;
  #copy;
  #fold;
  #colours;
  #read = 0; // how much of the text is in lines
  #lines = 0;
  #chunks = []; // the text node of each that holds the lines not painted yet, and how long its lines are
  #growing = new Text(); // a line that has no end yet

  /** @param {import("./blocks.js").Block} block */
  constructor(block) {
    const { language } = (this.#block = block);
    const button = (word, act) => el("button", { type: "button", onclick: act }, word);
    const wrap = button(words.wrap, () => wrap.setAttribute("aria-pressed", this.#pre.toggleAttribute("data-wrap")));
    wrap.setAttribute("aria-pressed", "false");
    this.#pre = el("pre", { tabindex: "0", "aria-label": words.code(language) });
    this.#copy = button(words.copy, () => this.#toClipboard());
    this.#fold = el("button", { type: "button", class: "fold", hidden: true, onclick: () => this.#unfold() });
    const drawn = language.toLowerCase() === "mermaid" ? new Diagram(() => block.text) : null;
    this.element = el(
      "div",
      { class: "code", dir: "ltr" },
      el(
        "div",
        { class: "title" },
        el("span", { class: "language" }, language),
        drawn?.button ?? null,
        wrap,
        this.#copy,
      ),
      drawn?.element ?? null,
      this.#pre,
      this.#fold,
    );
    this.#pre.addEventListener("scroll", () => this.#pre.scrollTop > 0 && this.#unfold()); // the browser has found something
    this.#colours = new Colours(language, (line, nodes) => this.#paint(line, nodes));
    this.#begin();
  }

  /** @param {string} more of a line that has no end yet */
  update(more = "") {
    const { text, open } = this.#block;
    for (let end; (end = text.indexOf("\n", this.#read)) >= 0; this.#read = end + 1)
      this.#add(text.slice(this.#read, end));
    this.#grow(text.slice(this.#read) + more);
    if (!open) this.#colours.end();
    if (this.#lines > FOLDED) this.#count();
  }

  /** A new chunk. The line end between two of them stands outside, where it is not seen but copied. */
  #begin() {
    const plain = new Text();
    if (this.tip) this.#pre.append("\n");
    this.#pre.append((this.tip = el("code", {}, plain)));
    this.#chunks.push({ plain, lengths: [] });
  }

  #add(line) {
    if (this.#chunks.at(-1).lengths.length === CHUNK) this.#begin();
    const { plain, lengths } = this.#chunks.at(-1);
    plain.appendData(lengths.length ? `\n${line}` : line);
    lengths.push(line.length);
    this.#lines += 1;
    this.#colours.add(line);
  }

  #count() {
    this.#fold.textContent = words.unfold(this.#lines);
    if (this.#pre.dataset.unfolded) return;
    this.#pre.toggleAttribute("data-folded", true);
    this.#fold.hidden = false;
  }

  #grow(line) {
    if (!line) return this.#growing.remove();
    const shown = line.length > GROWING ? `${line.slice(0, GROWING)} …` : line;
    const data = this.#lines ? `\n${shown}` : shown;
    if (this.#growing.data !== data) this.#growing.data = data;
    if (this.#growing.parentNode !== this.tip) this.tip.append(this.#growing);
  }

  /** Puts coloured nodes in the place of a line. Lines are painted in their order. */
  #paint(line, nodes) {
    const { plain, lengths } = this.#chunks[Math.floor(line / CHUNK)];
    const before = line % CHUNK ? "\n" : "";
    plain.deleteData(0, before.length + lengths[line % CHUNK]);
    plain.before(before, ...nodes);
  }

  #unfold() {
    this.#pre.dataset.unfolded = "true";
    this.#pre.removeAttribute("data-folded");
    const focused = this.#fold.matches(":focus");
    this.#fold.hidden = true;
    if (focused) this.#pre.focus({ preventScroll: true });
  }

  async #toClipboard() {
    await copy(this.#block.text.replace(/\n$/, ""));
    this.#copy.textContent = words.copied;
    setTimeout(() => (this.#copy.textContent = words.copy), COPIED);
  }
}

/** Without TLS a page has no `navigator.clipboard`. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const listen = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    event.clipboardData.setData("text/plain", text);
  };
  document.addEventListener("copy", listen, { capture: true, once: true });
  document.execCommand("copy");
  document.removeEventListener("copy", listen, { capture: true });
}
