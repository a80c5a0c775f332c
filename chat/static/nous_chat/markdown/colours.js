// Syntax highlighting in idle time: lines come in, and come out as nodes in the same order. If the grammar is back in its
// initial state after a line, the next line is read on its own. So a line is read once, or a few times inside a comment or
// string of many lines. Used by code.js.

import { el } from "../ui/dom.js";
import { whenIdle } from "./idle.js";

const MOST_LINES = 64; // read together; a longer string loses its colour
const MOST_CHARACTERS = 4000;
const LONGEST_LINE = 500; // a longer line stays plain: grammars take the square of its length

const TOKEN = /<span class="([\w -]*)">|(<\/span>)|(\n)|&(amp|lt|gt|quot|#x27);|[^<&\n]+/g;
/** @type {Record<string, string>} */
const ESCAPED = { amp: "&", lt: "<", gt: ">", quot: '"', "#x27": "'" };

/** @type {typeof import("../vendor/highlightjs/highlight.js").default|null} */
let highlighter = null;
/** @type {Promise<unknown>|null} */
let loading = null;

export class Colours {
  #language;
  #paint;
  /** @type {string[]} not highlighted yet */
  #lines = [];
  #together = 1; // lines to read next
  #ended = false;
  #busy = false;

  /**
   * @param {string} language as the model wrote it; lines of an unknown one stay plain
   * @param {(nodes: Node[]) => void} paint called for each line, in order
   */
  constructor(language, paint) {
    this.#language = language.toLowerCase();
    this.#paint = paint;
  }

  /** @param {string} line */
  add(line) {
    if (!this.#language) return;
    this.#lines.push(line);
    this.#wake();
  }

  /** No more lines will come. */
  end() {
    if (this.#ended) return;
    this.#ended = true;
    this.#wake();
  }

  #wake() {
    if (this.#busy || !this.#isDue) return;
    this.#busy = true;
    whenIdle(() => (this.#busy = this.#work()));
  }

  get #isDue() {
    return this.#lines.length >= (this.#ended ? 1 : this.#together);
  }

  /** Reads the next lines. @returns {boolean} true if more can be read now */
  #work() {
    if (!highlighter) {
      loading ??= import("../vendor/highlightjs/highlight.js").then((module) => (highlighter = module.default));
      loading.then(
        () => this.#wake(),
        () => {},
      );
      return false;
    }
    if (!highlighter.getLanguage(this.#language)) {
      this.#language = "";
      this.#lines = [];
      return false;
    }
    const lines = this.#lines.slice(0, this.#together);
    const { coloured, complete } = colour(highlighter, lines, this.#language);
    if (complete || lines.length >= MOST_LINES || (this.#ended && lines.length === this.#lines.length)) {
      for (const nodes of coloured) this.#paint(nodes);
      this.#lines.splice(0, lines.length);
      this.#together = 1;
    } else this.#together = Math.ceil(this.#together * 1.5);
    return this.#isDue;
  }
}

/**
 * @param {typeof import("../vendor/highlightjs/highlight.js").default} highlighter  @param {string[]} lines  @param {string} language
 * @returns {{coloured: Node[][], complete: boolean}} `complete`: the next line can be read on its own
 */
function colour(highlighter, lines, language) {
  const text = lines.join("\n");
  const plain = lines.some((line) => line.length > LONGEST_LINE);
  if (plain) return { coloured: lines.map((line) => [document.createTextNode(line)]), complete: true };
  const { value, _top } = highlighter.highlight(`${text}\n`, { language, ignoreIllegals: true });
  return { coloured: nodesOf(value), complete: !_top?.parent || text.length > MOST_CHARACTERS };
}

/** The highlighter's markup (spans and five entities) as nodes by line; no HTML is set. @param {string} markup */
function nodesOf(markup) {
  /** @type {{scope: string, text: string}[][]} */
  const lines = [[]];
  /** @type {string[]} */
  const open = [];
  for (const [text, name, closes, newline, escaped] of markup.matchAll(TOKEN)) {
    if (name !== undefined) open.push(name);
    else if (closes) open.pop();
    else if (newline) lines.push([]);
    else {
      const content = escaped ? ESCAPED[escaped] : text;
      const line = lines[lines.length - 1];
      const last = line.at(-1);
      const scope = open.at(-1) ?? "";
      if (last?.scope === scope) last.text += content;
      else line.push({ scope, text: content });
    }
  }
  lines.pop(); // the empty line after the last line end
  return lines.map((line) =>
    line.map(({ scope, text }) => (scope ? el("span", { class: scope }, text) : new Text(text))),
  );
}
