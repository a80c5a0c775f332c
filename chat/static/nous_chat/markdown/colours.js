// Colours lines of code, in idle time: lines come in, and go out as nodes in their order. Wherever the grammar is back at
// its beginning after a line, what follows can be read on its own: so a line is read once, or, inside a comment or a
// string of many lines, a few times. Called by code.js.

import { el } from "../ui/dom.js";
import { later } from "./idle.js";

const MOST_LINES = 64; // that are read together; a string of more loses its colour
const MOST_CHARACTERS = 8000;
const LONGEST_LINE = 1000; // a longer one stays plain

const TOKEN = /<span class="([\w -]*)">|(<\/span>)|(\n)|&(amp|lt|gt|quot|#x27);|[^<&\n]+/g;
const ESCAPED = { amp: "&", lt: "<", gt: ">", quot: '"', "#x27": "'" };

let highlighter = null;
let loading = null;

export class Colours {
  #language;
  #paint;
  #lines = []; // not painted yet
  #painted = 0;
  #together = 1; // how many lines to read next
  #ended = false;
  #busy = false;

  /**
   * @param {string} language as the model calls it; where it is none that we know, nothing is painted
   * @param {(line: number, nodes: Node[]) => void} paint
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

  /** No more lines come. */
  end() {
    if (this.#ended) return;
    this.#ended = true;
    this.#wake();
  }

  #wake() {
    if (this.#busy || !this.#due()) return;
    this.#busy = true;
    later(() => (this.#busy = this.#work()));
  }

  #due() {
    return this.#lines.length >= (this.#ended ? 1 : this.#together);
  }

  /** Reads the next lines; says whether there are more. */
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
    const { coloured, whole } = this.#colour(lines);
    if (whole || lines.length >= MOST_LINES || (this.#ended && lines.length === this.#lines.length)) {
      for (const nodes of coloured) this.#paint(this.#painted++, nodes);
      this.#lines.splice(0, lines.length);
      this.#together = 1;
    } else this.#together = Math.ceil(this.#together * 1.5);
    return this.#due();
  }

  /** `whole`: may the next line be read on its own? */
  #colour(lines) {
    const text = lines.join("\n");
    const plain = lines.some((line) => line.length > LONGEST_LINE);
    if (plain) return { coloured: lines.map((line) => [document.createTextNode(line)]), whole: true };
    const { value, _top } = highlighter.highlight(`${text}\n`, { language: this.#language, ignoreIllegals: true });
    return { coloured: nodesOf(value), whole: !_top?.parent || text.length > MOST_CHARACTERS };
  }
}

/** The highlighter's markup, which knows spans and five entities, as nodes of each line; no HTML is ever set. */
function nodesOf(markup) {
  const lines = [[]];
  const open = [];
  for (const [text, name, closes, newline, escaped] of markup.matchAll(TOKEN)) {
    if (name !== undefined) open.push(name);
    else if (closes) open.pop();
    else if (newline) lines.push([]);
    else {
      const said = escaped ? ESCAPED[escaped] : text;
      const last = lines.at(-1).at(-1);
      const scope = open.at(-1) ?? "";
      if (last?.scope === scope) last.text += said;
      else lines.at(-1).push({ scope, text: said });
    }
  }
  lines.pop(); // what follows the last line's end
  return lines.map((line) =>
    line.map(({ scope, text }) => (scope ? el("span", { class: scope }, text) : new Text(text))),
  );
}
