// Shows Markdown as it streams. Text comes in pieces; only what is still open in the tree of blocks.js is drawn again,
// and a closed block is never touched. It has the interface of ../message/text.js. Used by message.js, at most once per
// animation frame.

import { strings } from "../i18n/strings.js";
import { TextView } from "../message/text.js";
import { el } from "../ui/dom.js";
import { Blocks } from "./blocks.js";
import { CodeView } from "./code.js";
import { Notes } from "./footnotes.js";
import { formula, isReadable } from "./formula.js";
import { settle, whenIdle } from "./idle.js";
import { Prose } from "./prose.js";

/**
 * @import { Block, Code, Container, Formula, Guess, Prose as ProseBlock, Rule, Table } from "./blocks.js"
 *
 * @typedef {object} BlockView
 * @property {Block} block
 * @property {HTMLElement} element
 * @property {HTMLElement|null} tip the element in which text appears
 * @property {(guess?: Guess|null, depth?: number) => void} update
 */

const SECTION = 24; // blocks laid out together: appending costs the same below many blocks as below few
const PART = 200; // the same in quotes, lists, and items; only longer ones have elements for their parts
const TABLE = 2000; // cells; a longer table is continued in another one

const RIGHT_TO_LEFT =
  /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;

export class MarkdownView {
  #element;
  /** @type {Blocks} */
  #blocks;
  /** @type {Shared} */
  #shared;
  /** @type {DocumentView} */
  #root;
  #text = "";
  #hasDirection = false;

  /** @param {HTMLElement & {source?: string}} element used by this view only; its `source` is always exactly the text */
  constructor(element) {
    this.#element = element;
    this.#element.classList.add("markdown");
    this.#begin();
  }

  /** @param {string} text */
  append(text) {
    if (!this.#blocks.root.open) return this.set(this.#text + text, true);
    this.#add(text);
    this.#draw();
  }

  /**
   * Shows a text and keeps the nodes of its beginning, if that is shown already.
   * @param {string} text
   * @param {boolean} open true if more of it will follow
   */
  set(text, open) {
    const added = text.startsWith(this.#text) ? text.slice(this.#text.length) : null;
    if (!this.#blocks.root.open && added === "") return;
    if (!this.#blocks.root.open || added === null) this.#begin();
    this.#add(text.slice(this.#text.length));
    if (!open) this.#blocks.close();
    this.#draw();
    if (!open) this.#resolveLabels();
  }

  #begin() {
    this.#blocks = new Blocks();
    this.#shared = new Shared(this.#blocks);
    this.#element.replaceChildren();
    this.#root = new DocumentView(this.#blocks.root, this.#shared, this.#element);
    this.#text = this.#element.source = "";
    this.#element.dir = "ltr"; // not `auto`, for which the browser would search the whole text at each change
    this.#hasDirection = false;
  }

  /** @param {string} text */
  #add(text) {
    this.#blocks.push(text);
    this.#text = this.#element.source = this.#text + text;
    if (!this.#hasDirection) this.#setDirection(text);
  }

  /** The first letter sets the direction of lists and quotes; each line has its own (markdown.css). @param {string} text */
  #setDirection(text) {
    const [letter] = /\p{L}/u.exec(text) ?? [];
    this.#hasDirection = letter !== undefined;
    if (letter && RIGHT_TO_LEFT.test(letter)) this.#element.dir = "rtl";
  }

  #draw() {
    this.#root.update(this.#blocks.preview());
    const tip = this.#blocks.root.open ? this.#root.tip : null;
    if (tip === this.#shared.tip) return;
    this.#shared.tip?.removeAttribute("data-caret");
    tip?.setAttribute("data-caret", "");
    this.#shared.tip = tip;
  }

  /** Reads again, once, the text that refers to labels defined after it. */
  #resolveLabels() {
    const waiting = [...this.#shared.waiting].filter(([, defined]) => defined < this.#blocks.defined);
    whenIdle(() => {
      waiting.shift()?.[0].refresh();
      return waiting.length > 0;
    });
  }
}

/** What the blocks of one text share. */
class Shared {
  /** The element in which text appears. @type {HTMLElement|null} */
  tip = null;
  /** Text with a label in it, and how many labels were defined when it was read. @type {Map<Prose, number>} */
  waiting = new Map();

  #blocks;

  /** @param {Blocks} blocks */
  constructor(blocks) {
    this.#blocks = blocks;
    this.definitions = blocks.definitions;
    this.notes = new Notes();
  }

  /** Fills an element whose text will not change. @param {HTMLElement} element  @param {string} text */
  fill(element, text) {
    const prose = new Prose(element, this);
    prose.show(text);
    this.await(prose, text);
    return element;
  }

  /** @param {Prose} prose  @param {string} text */
  await(prose, text) {
    if (/\[[^[\]]+\]/.test(text)) this.waiting.set(prose, this.#blocks.defined);
  }
}

/** A quote, a list or an item: only its last child may change. */
class ContainerView {
  #shared;
  /** @type {BlockView|null} */
  #last = null;
  /** @type {BlockView|null} */
  #guess = null;
  #count = 0;
  /** Elements that the children stand in. @type {HTMLElement[]} */
  #parts = [];
  partSize = PART;

  /** @param {Container} block  @param {Shared} shared  @param {HTMLElement} [element] */
  constructor(block, shared, element = elementOf(block)) {
    this.block = block;
    this.#shared = shared;
    this.element = element;
  }

  /** @param {Guess|null} [guess] what Blocks.preview says  @param {number} [depth] of this container */
  update(guess = null, depth = 0) {
    const { children } = this.block;
    if (this.#guess) this.displace(this.#guess.element);
    this.#guess = null;
    if (this.#last && this.#last.block !== children[this.#count - 1]) {
      this.displace(this.#last.element); // it has become another block
      this.#last = null;
      this.#count -= 1;
    }
    const inner = guess?.block && guess.depth === depth ? null : guess;
    if (this.#count === children.length) this.#last?.update(inner, depth + 1);
    else this.#last?.update();
    while (this.#count < children.length) {
      this.#last = viewOf(children[this.#count++], this.#shared);
      this.#last.update(this.#count === children.length ? inner : null, depth + 1);
      this.place(this.#last.element, this.#count - 1);
    }
    if (guess?.block && !inner) {
      this.#guess = viewOf(guess.block, this.#shared);
      this.#guess.update();
      this.place(this.#guess.element, this.#count);
    }
    this.#mark();
  }

  /** @param {HTMLElement} element  @param {number} index */
  place(element, index) {
    const at = Math.floor(index / this.partSize);
    this.#parts[at] ??= this.beginPart(this.#parts[at - 1]);
    this.#parts[at].append(element);
  }

  /** @param {HTMLElement|undefined} before */
  beginPart(before) {
    return before ? this.element.appendChild(el("div", { class: "part" })) : this.element;
  }

  /** @param {HTMLElement} element the last one */
  displace(element) {
    element.remove();
    const last = this.#parts[this.#parts.length - 1];
    if (last === this.element || last.firstChild) return;
    last.remove();
    this.#parts.pop();
  }

  /** @returns {HTMLElement|null} */
  get tip() {
    return (this.#guess ?? this.#last)?.tip ?? null;
  }

  /** Shows what becomes known of a list or an item only after its beginning. */
  #mark() {
    const { type, loose = false, task = null, summary } = this.block;
    if (type === "list") this.element.toggleAttribute("data-loose", loose);
    if (summary && this.element.firstElementChild?.localName !== "summary") {
      this.element.prepend(this.#shared.fill(el("summary"), summary));
    }
    if (type !== "item" || task === null || this.element.dataset.task) return;
    this.element.dataset.task = "true";
    const label = task ? strings.done : strings.toDo;
    this.element.prepend(el("input", { type: "checkbox", disabled: true, checked: task, "aria-label": label }));
  }
}

class DocumentView extends ContainerView {
  partSize = SECTION;

  /** @param {HTMLElement|undefined} before */
  beginPart(before) {
    if (before) settle(before);
    return this.element.appendChild(el("div", { class: "section" }));
  }
}

/** A footnote: its number leads back to the text. */
class FootnoteView extends ContainerView {
  /** @param {Container} block  @param {Shared} shared */
  constructor(block, shared) {
    super(block, shared);
    this.element.classList.add("footnote");
    this.element.prepend(shared.notes.backlink(block.label ?? "", this.element));
  }
}

class ProseView {
  #shared;
  #prose;

  /** @param {ProseBlock} block  @param {Shared} shared */
  constructor(block, shared) {
    this.block = block;
    this.#shared = shared;
    this.tip = this.element = elementOf(block);
    this.#prose = new Prose(this.element, shared);
  }

  /** @param {Guess|null} [guess] */
  update(guess = null) {
    const { text, open } = this.block;
    this.element.hidden = open && /^\|[^\n]*$/.test(text); // the next line decides whether it is the header of a table
    if (this.element.hidden) return;
    this.#prose.show(text, { more: guess?.text, open });
    if (!open) this.#shared.await(this.#prose, text);
  }
}

class TableView {
  tip = null;
  #shared;
  /** @type {HTMLElement} the rows of the last table */
  #body;
  #rows = 1;

  /** @param {Table} block  @param {Shared} shared */
  constructor(block, shared) {
    this.block = block;
    this.#shared = shared;
    this.element = el("div", { class: "table", tabindex: "0", role: "region", "aria-label": strings.table });
    this.#begin(el("thead", {}, this.#row("th", block.rows[0])));
  }

  update() {
    const { rows, align } = this.block;
    for (; this.#rows < rows.length; this.#rows++) {
      if (this.#body.childElementCount * align.length >= TABLE) this.#begin();
      this.#body.append(this.#row("td", rows[this.#rows]));
    }
  }

  /** @param {HTMLElement} [head] */
  #begin(head) {
    this.#body = el("tbody");
    this.element.append(el("table", {}, head, this.#body));
  }

  /** @param {"th"|"td"} tag  @param {string[]} cells */
  #row(tag, cells) {
    const { align } = this.block;
    return el(
      "tr",
      {},
      ...cells.map((text, i) =>
        this.#shared.fill(el(tag, { scope: tag === "th" && "col", "data-align": align[i] || null }), text),
      ),
    );
  }
}

class FormulaView {
  #source;

  /** @param {Formula} block */
  constructor(block) {
    this.block = block;
    this.tip = this.element = el("div", {
      class: "formula",
      translate: "no",
      tabindex: "0",
      role: "region",
      "aria-label": strings.formula,
    });
    this.#source = new TextView(this.element);
  }

  /** Shows the source while it is open, and if it is too long. @param {Guess|null} [guess] */
  update(guess = null) {
    const { text, open } = this.block;
    if (open || !isReadable(text)) this.#source.set(open ? text + (guess?.text ?? "") : text.trimEnd());
    else this.element.replaceChildren(formula(text, text.trimEnd(), true));
  }
}

class CodeBlockView {
  #view;

  /** @param {Code} block */
  constructor(block) {
    this.block = block;
    this.#view = new CodeView(block);
    this.element = this.#view.element;
  }

  /** @param {Guess|null} [guess] */
  update(guess = null) {
    this.#view.update(guess?.text);
  }

  get tip() {
    return this.#view.tip;
  }
}

class RuleView {
  tip = null;

  /** @param {Rule} block */
  constructor(block) {
    this.block = block;
    this.element = el("hr");
  }

  update() {}
}

/** @type {Record<string, new (block: any, shared: Shared) => BlockView>} */
const VIEWS = {
  paragraph: ProseView,
  heading: ProseView,
  table: TableView,
  math: FormulaView,
  code: CodeBlockView,
  rule: RuleView,
  footnote: FootnoteView,
};

/** @param {Block} block  @param {Shared} shared */
const viewOf = (block, shared) => new (VIEWS[block.type] ?? ContainerView)(block, shared);

const TAGS = { quote: "blockquote", item: "li", paragraph: "p", document: "div", details: "details", footnote: "div" };

/** @param {Container|ProseBlock} block  @returns {HTMLElement} */
function elementOf(block) {
  if (block.type === "heading") return heading(block.level ?? 1);
  if (block.type !== "list") return el(TAGS[block.type]);
  return block.ordered ? el("ol", { start: block.start === 1 ? null : block.start }) : el("ul");
}

/** An answer belongs to a page whose title stands above it, so its first heading level is the page's third. @param {number} level */
function heading(level) {
  const ariaLevel = level + 2;
  return el(`h${Math.min(6, ariaLevel)}`, { "aria-level": ariaLevel > 6 ? ariaLevel : null, "data-level": level });
}
