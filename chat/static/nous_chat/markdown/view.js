// Markdown on the page, as it arrives. Text in pieces comes in; only what is still open in the tree of blocks.js is drawn
// again, whatever is closed is never touched. Has the interface of ../text.js. Called by message.js, at most once per
// animation frame.

import { words } from "../i18n/strings.js";
import { el } from "../ui/dom.js";
import { Blocks } from "./blocks.js";
import { CodeView } from "./code.js";
import { formula } from "./formula.js";
import { later, settle } from "./idle.js";
import { Prose } from "./prose.js";

const SECTION = 24; // blocks that are laid out together: appending costs no more below many than below few

const RIGHT_TO_LEFT =
  /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;

export class MarkdownView {
  #element;
  #blocks;
  #page;
  #root;
  #text = "";
  #directed = false; // is it known in which direction the text runs?

  /** @param {HTMLElement} element is the view's alone; its property `source` is always exactly the text */
  constructor(element) {
    this.#element = element;
    element.classList.add("markdown");
    this.#begin();
  }

  /** @param {string} text */
  append(text) {
    if (!this.#blocks.root.open) return this.set(this.#text + text, true);
    this.#take(text);
    this.#draw();
  }

  /**
   * The whole text; what stands there already is left alone.
   * @param {string} text
   * @param {boolean} open is more of it on its way?
   */
  set(text, open) {
    const added = text.startsWith(this.#text) ? text.slice(this.#text.length) : null;
    if (!this.#blocks.root.open && added === "") return;
    if (!this.#blocks.root.open || added === null) this.#begin();
    this.#take(text.slice(this.#text.length));
    if (!open) this.#blocks.close();
    this.#draw();
    if (!open) this.#end();
  }

  #begin() {
    this.#blocks = new Blocks();
    this.#page = new Page(this.#blocks.definitions);
    this.#element.replaceChildren();
    this.#root = new DocumentView(this.#blocks.root, this.#page, this.#element);
    this.#text = this.#element.source = "";
    this.#element.dir = "ltr"; // not `auto`: for that the browser looks through the whole text at each change
    this.#directed = false;
  }

  #take(text) {
    this.#blocks.push(text);
    this.#text = this.#element.source = this.#text + text;
    if (!this.#directed) this.#direct(text);
  }

  /** The first letter says in which direction lists and quotes go; each line has its own (markdown.css). */
  #direct(text) {
    const [letter] = /\p{L}/u.exec(text) ?? [];
    this.#directed = letter !== undefined;
    if (letter && RIGHT_TO_LEFT.test(letter)) this.#element.dir = "rtl";
  }

  #draw() {
    this.#root.update(this.#blocks.preview());
    const tip = this.#blocks.root.open ? this.#root.tip : null;
    if (tip === this.#page.tip) return;
    this.#page.tip?.removeAttribute("data-tip");
    tip?.setAttribute("data-tip", "");
    this.#page.tip = tip;
  }

  /** What refers to a label that was defined further down is read again, once. */
  #end() {
    const waiting = [...this.#page.waiting].filter(
      ([, defined]) => defined < Object.keys(this.#blocks.definitions).length,
    );
    later(() => {
      waiting.shift()?.[0].renew();
      return waiting.length > 0;
    });
  }
}

/** What the blocks of one text share. */
class Page {
  tip = null; // the element in which text appears
  waiting = new Map(); // prose with a label in it -> how many labels were defined when it was read

  constructor(definitions) {
    this.definitions = definitions;
  }

  /** Text in an element, for good. */
  fill(element, text) {
    const prose = new Prose(element, this.definitions);
    prose.show(text);
    this.await(prose, text);
    return element;
  }

  /** @param {Prose} prose */
  await(prose, text) {
    if (/\[[^\]]+\]/.test(text)) this.waiting.set(prose, Object.keys(this.definitions).length);
  }
}

/** A quote, a list or an item: its children stand in it in their order, and only the last may change. */
class ContainerView {
  #page;
  #last = null;
  #guess = null;
  #count = 0;

  constructor(block, page, element = elementOf(block)) {
    this.block = block;
    this.#page = page;
    this.element = element;
  }

  /** @param {object|null} guess what Blocks.preview says  @param {number} depth of this container */
  update(guess = null, depth = 0) {
    const { children } = this.block;
    if (this.#guess) this.displace(this.#guess.element);
    this.#guess = null;
    if (this.#last && this.#last.block !== children[this.#count - 1]) {
      this.displace(this.#last.element); // it has turned out to be something else
      this.#last = null;
      this.#count -= 1;
    }
    const inside = guess?.block && guess.depth === depth ? null : guess;
    if (this.#count === children.length) this.#last?.update(inside, depth + 1);
    else this.#last?.update();
    while (this.#count < children.length) {
      this.#last = viewOf(children[this.#count++], this.#page);
      this.#last.update(this.#count === children.length ? inside : null, depth + 1);
      this.place(this.#last.element, this.#count - 1);
    }
    if (guess && !inside) {
      this.#guess = viewOf(guess.block, this.#page);
      this.#guess.update();
      this.place(this.#guess.element, this.#count);
    }
    this.#mark();
  }

  place(element) {
    this.element.append(element);
  }

  displace(element) {
    element.remove();
  }

  get tip() {
    return (this.#guess ?? this.#last)?.tip ?? null;
  }

  /** What becomes known of a list or an item after its beginning. */
  #mark() {
    const { type, loose, task } = this.block;
    if (type === "list") this.element.toggleAttribute("data-loose", loose);
    if (type !== "item" || task === null || this.element.dataset.task) return;
    this.element.dataset.task = "true";
    const label = task ? words.done : words.toDo;
    this.element.prepend(el("input", { type: "checkbox", disabled: true, checked: task, "aria-label": label }));
  }
}

class DocumentView extends ContainerView {
  place(element, index) {
    const { children } = this.element;
    const section = Math.floor(index / SECTION);
    if (!children[section]) {
      const before = children[section - 1];
      if (before) settle(before);
      this.element.append(el("div", { class: "section" }));
    }
    children[section].append(element);
  }

  displace(element) {
    const section = element.parentElement;
    element.remove();
    if (!section.firstChild) section.remove();
  }
}

class ProseView {
  #page;
  #prose;

  constructor(block, page) {
    this.block = block;
    this.#page = page;
    this.tip = this.element = elementOf(block);
    this.#prose = new Prose(this.element, page.definitions);
  }

  update(guess = null) {
    const { text, open } = this.block;
    this.element.hidden = open && /^\|[^\n]*$/.test(text); // the next line says whether it is the head of a table
    if (this.element.hidden) return;
    this.#prose.show(text, { more: guess?.text, open });
    if (!open) this.#page.await(this.#prose, text);
  }
}

class TableView {
  tip = null;
  #page;
  #body;
  #rows = 1;

  constructor(block, page) {
    this.block = block;
    this.#page = page;
    this.#body = el("tbody");
    this.element = el(
      "div",
      { class: "table", tabindex: "0", role: "region", "aria-label": words.table },
      el("table", {}, el("thead", {}, this.#row("th", block.rows[0])), this.#body),
    );
  }

  update() {
    const { rows } = this.block;
    for (; this.#rows < rows.length; this.#rows++) this.#body.append(this.#row("td", rows[this.#rows]));
  }

  #row(tag, cells) {
    const { align } = this.block;
    return el(
      "tr",
      {},
      ...cells.map((text, i) =>
        this.#page.fill(el(tag, { scope: tag === "th" && "col", "data-align": align[i] || null }), text),
      ),
    );
  }
}

class FormulaView {
  constructor(block) {
    this.block = block;
    this.tip = this.element = el("div", {
      class: "formula",
      tabindex: "0",
      role: "region",
      "aria-label": words.formula,
    });
  }

  /** While it is open its source is shown. */
  update(guess = null) {
    const { text, open } = this.block;
    if (open) this.element.textContent = text + (guess?.text ?? "");
    else this.element.replaceChildren(formula(text, text.trimEnd(), true));
  }
}

class CodeBlockView {
  #view;

  constructor(block) {
    this.block = block;
    this.#view = new CodeView(block);
    this.element = this.#view.element;
  }

  update(guess = null) {
    this.#view.update(guess?.text);
  }

  get tip() {
    return this.#view.tip;
  }
}

class RuleView {
  tip = null;

  constructor(block) {
    this.block = block;
    this.element = el("hr");
  }

  update() {}
}

const VIEWS = {
  paragraph: ProseView,
  heading: ProseView,
  table: TableView,
  math: FormulaView,
  code: CodeBlockView,
  rule: RuleView,
};

const viewOf = (block, page) => new (VIEWS[block.type] ?? ContainerView)(block, page);

function elementOf({ type, level, ordered, start }) {
  if (type === "heading") return heading(level);
  if (type === "list") return ordered ? el("ol", { start: start === 1 ? null : start }) : el("ul");
  return el({ quote: "blockquote", item: "li", paragraph: "p" }[type]);
}

/** An answer is part of a page whose title is above it: its first level is the page's third. */
function heading(level) {
  const deep = level + 2;
  return el(`h${Math.min(6, deep)}`, { "aria-level": deep > 6 ? deep : null, "data-level": level });
}
