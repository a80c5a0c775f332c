// The block structure of Markdown, read as it arrives: text in pieces comes in, a tree of blocks grows at its end. A line
// is looked at once, against the blocks that are open (the strategy of CommonMark's appendix), so a line costs the same
// at the end of a long answer as at its start, and the tree does not depend on how the text was cut. No page in here;
// what stands inside a line is inline.js's matter. Used by view.js.

/**
 * @typedef {object} Block
 * @property {"document"|"quote"|"list"|"item"|"paragraph"|"heading"|"rule"|"code"|"math"|"table"} type
 * @property {boolean} open          may it still change? Only the last child of an open block is open
 * @property {Block[]} [children]    of document, quote, list (items alone) and item
 * @property {string} [text]         of a paragraph and a heading; of code and math, where each line has its "\n"
 * @property {number} [level]        of a heading, 1 to 6
 * @property {boolean} [ordered]     of a list
 * @property {number} [start]        of an ordered list
 * @property {boolean} [loose]       of a list: do blank lines stand between its parts?
 * @property {boolean|null} [task]   of an item: done, not done, or no task
 * @property {string} [language]     of code: the first word after the fence
 * @property {(""|"left"|"center"|"right")[]} [align] of a table, one for each column
 * @property {string[][]} [rows]     of a table, the head first
 */

const LONG = 1000; // more of a line decides nothing, it is text: a line without an end need not be kept
const SHORT = 2000; // a paragraph of more does not turn out to be a heading or the head of a table
const DEEPEST = 24; // containers; a list is two of them. What is deeper is text
const MOST_COLUMNS = 64;

const FENCE = /^(?:(`{3,})([^`]*)|(~{3,})(.*))$/;
const FENCE_END = /^(?:`{3,}|~{3,})$/;
const FORMULA = /^(?:\$\$(?!\$)|\\\[)/;
const FORMULA_END = { $$: "$$", "\\[": "\\]" };
const RULE = /^(?:(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|(?:-[ \t]*){3,})$/;
const UNDERLINE = /^(?:=+|-+)[ \t]*$/;
const HEADING = /^(#{1,6})(?:[ \t]+|$)/;
const HEADING_END = /(?:^|[ \t]+)#+[ \t]*$/;
const MARKER = /^(?:([-+*])|(\d{1,9})([.)]))(?=[ \t]|$)/;
const TASK = /^\[([ xX])\][ \t]+(?=\S)/;
const DELIMITERS = /^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const DEFINITION =
  /^\[(?!\^)((?:[^[\]\\]|\\.){1,999})\]:[ \t]*(<[^<>]*>|[^\s<]\S*)(?:[ \t]+("[^"]*"|'[^']*'|\([^()]*\)))?[ \t]*$/;

/** A line that has no end yet and may become anything: it is shown when it is decided, some milliseconds later. */
const UNDECIDED = /^(?:[-+*_=#>|:~$`\\[\]()! \t]*|\d{1,9}[.)]?[ \t]*|\[[ xX]\]?[ \t]*|\[[^\]]*\]:.*|\|.*)$/;

export class Blocks {
  /** @type {Block} */
  root = { type: "document", open: true, children: [] };
  /** What `[label]: address "title"` has defined, by label. @type {Object<string, {href: string, title: string}>} */
  definitions = Object.create(null);

  #open = [this.root]; // the containers that are open, from the outside in
  #leaf = null; // the open block in the last of them that holds text
  #blank = false; // was the last line a blank one between blocks?
  #line = ""; // a line that has no end yet
  #long = false; // has its beginning been taken, so that what follows belongs to the leaf?

  /** @param {string} text the next piece of the whole */
  push(text) {
    let from = 0;
    for (let end; (end = text.indexOf("\n", from)) >= 0; from = end + 1) {
      this.#gather(text.slice(from, end));
      this.#endLine();
    }
    this.#gather(text.slice(from));
  }

  /** There is no more. */
  close() {
    if (this.#line || this.#long) this.#endLine();
    this.#closeTo(0);
  }

  /**
   * What the line that has no end yet will be. Changes nothing.
   * @returns {{depth: number, text: string, block: null}|{depth: number, block: Block}|null} `text` goes on the block that
   *   is open; `block` stands at the end of the container at that depth, the document's being 0
   */
  preview() {
    if (!this.#line || this.#leaf?.type === "table") return null;
    const plan = this.#plan(this.#line);
    const depth = plan.depth - 1;
    if (plan.verbatim !== undefined && !plan.starts) {
      const mayEnd = this.#leaf.fence && /^[ \t]*[`~$\\]/.test(plan.verbatim);
      return mayEnd || plan.ends ? null : { depth, text: plan.verbatim, block: null };
    }
    plan.text ??= plan.verbatim;
    if (plan.text === undefined || UNDECIDED.test(plan.text)) return null;
    if (plan.continues) return { depth, text: `\n${plan.text}`, block: null };
    const nested = [...plan.starts, { ...plan.leaf, text: plan.text }];
    for (const [i, block] of nested.slice(1).entries()) place(block, nested[i]);
    return { depth, block: nested[0] };
  }

  #gather(text) {
    if (this.#long) return this.#extend(text);
    this.#line += text;
    if (this.#line.length <= LONG || this.#leaf?.type === "table") return;
    const line = this.#line;
    this.#line = "";
    this.#long = true;
    this.#perform(this.#plan(line.slice(0, LONG)));
    this.#extend(line.slice(LONG));
  }

  #endLine() {
    if (!this.#long) this.#perform(this.#plan(this.#line.replace(/\r$/, "")));
    else if (this.#leaf?.verbatim) this.#leaf.text += "\n";
    this.#line = "";
    this.#long = false;
  }

  /** More of a long line. */
  #extend(text) {
    if (this.#leaf) this.#leaf.text += text;
    else if (text.trim()) this.#add(paragraph(text.trimStart()));
  }

  /**
   * What a line means for what is open: how many containers it goes on, which it starts, and what it holds.
   * Changes nothing.
   */
  #plan(line) {
    const long = this.#long;
    const open = this.#open;
    const leaf = this.#leaf;
    let rest = line;
    let column = 0;
    const skip = (columns) => {
      rest = withoutIndent(rest, column, columns);
      column += columns;
    };
    const skipMarker = (width) => {
      rest = rest.slice(width);
      column += width;
    };
    const skipQuote = () => {
      skip(indentOf(rest, column));
      skipMarker(1);
      skip(Math.min(1, indentOf(rest, column)));
    };

    let depth = 1;
    for (; depth < open.length; depth++) {
      const { type, width, children } = open[depth];
      if (type === "list") continue;
      const indent = indentOf(rest, column);
      if (type === "quote") {
        if (indent > 3 || rest.trimStart()[0] !== ">") break;
        skipQuote();
      } else if (isBlank(rest)) {
        if (children.length === 0) break;
      } else if (indent >= width) skip(width);
      else break;
    }
    const all = depth === open.length;

    if (all && leaf?.verbatim && goesOn(leaf, rest, indentOf(rest, column))) {
      const indent = Math.min(indentOf(rest, column), leaf.fence ? leaf.indent : 4);
      const end = !long && leaf.fence ? endOf(leaf, rest) : null;
      return { depth, verbatim: end ?? withoutIndent(rest, column, indent), ends: end !== null };
    }
    if (isBlank(rest)) return { depth, starts: [], blank: true };

    const starts = [];
    /** A list holds nothing but items: what is none stands beside it. */
    const found = (plan) => {
      const beside = open[depth - 1].type === "list" && starts[0]?.type !== "item";
      return { depth: beside ? depth - 1 : depth, starts, ...plan };
    };
    while (depth + starts.length < DEEPEST) {
      const indent = indentOf(rest, column);
      const text = rest.trimStart();
      const first = starts.length === 0;
      const interrupts = all && first && leaf?.type === "paragraph";
      if (indent > 3) {
        if (first && leaf?.type === "paragraph") break;
        return found({ leaf: indentedCode(), verbatim: withoutIndent(rest, column, 4) });
      }
      if (text[0] === ">") {
        starts.push({ type: "quote", open: true, children: [] });
        skipQuote();
        if (isBlank(rest)) return found({ blank: true });
        continue;
      }
      const [opening, signs] = HEADING.exec(text) ?? [];
      if (signs) {
        const title = text.slice(opening.length);
        return found({ leaf: heading(signs.length), text: long ? title : title.replace(HEADING_END, "").trimEnd() });
      }
      const block = long ? null : (fencedCode(text, indent) ?? formula(text, indent));
      if (block) return found({ leaf: block });
      if (!long && interrupts && leaf.text.length <= SHORT) {
        if (UNDERLINE.test(text)) return { depth, underline: text[0] === "=" ? 1 : 2 };
        if (isHead(leaf.text, text)) return { depth, delimiters: text };
      }
      if (!long && RULE.test(text)) return found({ leaf: { type: "rule", open: false } });
      const marker = MARKER.exec(text);
      const empty = marker && isBlank(text.slice(marker[0].length));
      if (!marker || (interrupts && (empty || (marker[2] && Number(marker[2]) !== 1)))) break;
      const list = listOf(marker);
      const siblings = first && open[depth - 1].type === "list" ? open[depth - 1] : null;
      if (siblings && siblings.marker !== list.marker) depth -= 1;
      if (siblings?.marker !== list.marker) starts.push(list);
      skip(indent);
      skipMarker(marker[0].length);
      const blanks = indentOf(rest, column);
      const gap = empty || blanks > 4 ? 1 : blanks;
      starts.push({ type: "item", open: true, children: [], task: null, width: indent + marker[0].length + gap });
      if (empty) return { depth, starts, blank: true };
      skip(gap);
    }

    const text = rest.trimStart();
    if (starts.length === 0 && all && leaf?.type === "table") return { depth, row: text };
    if (starts.length === 0 && leaf?.type === "paragraph") return { depth: open.length, continues: true, text };
    const definition = long ? null : DEFINITION.exec(text);
    return found(definition ? { definition } : { leaf: paragraph(), text });
  }

  /** The only one who changes the tree. */
  #perform(plan) {
    const apart = this.#blank;
    this.#blank = false;
    if (plan.continues) return void (this.#leaf.text += `\n${plan.text}`);
    if (plan.row !== undefined) return void this.#leaf.rows.push(cellsOf(plan.row, this.#leaf.align.length));
    if (plan.underline) return this.#underline(plan.underline);
    if (plan.delimiters) return this.#table(plan.delimiters);
    this.#closeTo(plan.depth);
    if (!plan.starts) return this.#verbatim(plan);
    this.#closeLeaf();
    for (const [i, start] of plan.starts.entries()) this.#add(start, apart && i === 0);
    if (plan.blank) this.#blank = plan.starts.length === 0 && this.#open.at(-1).type !== "quote";
    if (plan.definition) this.#define(plan.definition);
    if (!plan.leaf) return;
    if (plan.text !== undefined) plan.leaf.text = plan.text;
    this.#add(plan.leaf, apart && plan.starts.length === 0);
    if (plan.verbatim !== undefined) this.#verbatim(plan);
  }

  #verbatim({ verbatim, ends = false }) {
    if (!ends || verbatim) this.#leaf.text += this.#long ? verbatim : `${verbatim}\n`;
    if (ends) this.#closeLeaf();
  }

  /** The paragraph is a heading: its underline has come. */
  #underline(level) {
    const { children } = this.#open.at(-1);
    const { text } = this.#leaf;
    this.#closeLeaf();
    children[children.length - 1] = { ...heading(level), open: false, text: text.trimEnd() };
  }

  /** The paragraph's last line is the head of a table: the line that parts it from the rows has come. */
  #table(delimiters) {
    const lines = this.#leaf.text.split("\n");
    const align = cellsOf(delimiters).map(alignment);
    const rows = [cellsOf(lines.pop(), align.length)];
    this.#leaf.text = lines.join("\n");
    if (lines.length === 0) this.#open.at(-1).children.pop();
    this.#closeLeaf();
    this.#add({ type: "table", open: true, align, rows });
  }

  #define([, label, address, title]) {
    const key = label.trim().replace(/\s+/g, " ").toLowerCase().toUpperCase(); // CommonMark: without regard to case
    this.definitions[key] ??= { href: address.replace(/^<(.*)>$/, "$1"), title: title ? title.slice(1, -1) : "" };
  }

  /** @param {boolean} apart does a blank line stand before it? */
  #add(block, apart = false) {
    const parent = this.#open.at(-1);
    if (apart && parent.children.length > 0) {
      if (parent.type === "list") parent.loose = true;
      if (parent.type === "item") this.#open.at(-2).loose = true;
    }
    place(block, parent);
    if (block.children) this.#open.push(block);
    else if (block.open) this.#leaf = block;
  }

  #closeTo(depth) {
    if (depth >= this.#open.length) return;
    this.#closeLeaf();
    for (const block of this.#open.splice(depth)) block.open = false;
  }

  #closeLeaf() {
    if (!this.#leaf) return;
    this.#leaf.open = false;
    if (this.#leaf.type === "code" && !this.#leaf.fence) this.#leaf.text = this.#leaf.text.replace(/\n+$/, "\n");
    this.#leaf = null;
  }
}

// --- Blocks

const paragraph = (text = "") => ({ type: "paragraph", open: true, text });
const heading = (level) => ({ type: "heading", open: true, level, text: "" });
const indentedCode = () => ({ type: "code", open: true, verbatim: true, language: "", text: "" });

function fencedCode(line, indent) {
  const match = FENCE.exec(line);
  if (!match) return null;
  const info = (match[2] ?? match[4]).trim();
  return {
    type: "code",
    open: true,
    verbatim: true,
    language: info.split(/[\s{,]/)[0],
    text: "",
    fence: match[1] ?? match[3],
    indent,
  };
}

/** `$$` or `\[`, alone or before a formula that may end in the same line, with nothing after it. */
function formula(line, indent) {
  const [fence] = FORMULA.exec(line) ?? [];
  if (!fence) return null;
  const block = { type: "math", open: true, verbatim: true, text: "", fence: FORMULA_END[fence], indent };
  const text = line.slice(fence.length).trim();
  if (!text) return block;
  const end = text.indexOf(block.fence);
  if (end < 0) return { ...block, text: `${text}\n` };
  return end === text.length - block.fence.length ? { ...block, open: false, text: `${text.slice(0, end)}\n` } : null;
}

function listOf([, bullet, number, after]) {
  const list = { type: "list", open: true, children: [], ordered: !bullet, loose: false, marker: bullet ?? after };
  return bullet ? list : { ...list, start: Number(number) };
}

/** Puts a block into its container; the first words of an item may be those of a task. */
function place(block, parent) {
  const task =
    parent.type === "item" && parent.children.length === 0 && block.type === "paragraph" && TASK.exec(block.text);
  if (task) {
    parent.task = task[1] !== " ";
    block.text = block.text.slice(task[0].length);
  }
  parent.children.push(block);
}

/** Does a line belong to the code or the formula that is open? A formula ends at a blank line at the latest. */
function goesOn({ type, fence }, line, indent) {
  if (isBlank(line)) return type === "code";
  return Boolean(fence) || indent > 3;
}

/** What stands in a line before the end of code or formula; null if they do not end in it. */
function endOf({ type, fence }, line) {
  const text = line.trim();
  if (type === "math") return text.endsWith(fence) ? text.slice(0, -fence.length).trimEnd() : null;
  return FENCE_END.test(text) && text.startsWith(fence) && indentOf(line, 0) < 4 ? "" : null;
}

// --- Lines of tables

function isHead(paragraph, delimiters) {
  const head = paragraph.slice(paragraph.lastIndexOf("\n") + 1);
  if (!head.includes("|") || !DELIMITERS.test(delimiters)) return false;
  const columns = cellsOf(delimiters).length;
  return columns <= MOST_COLUMNS && cellsOf(head).length === columns;
}

/** @param {string} line  @param {number} [columns] as many, no more and no fewer */
function cellsOf(line, columns) {
  const text = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "");
  const cells = text.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
  return columns === undefined ? cells : Array.from({ length: columns }, (_, i) => cells[i] ?? "");
}

function alignment(delimiter) {
  const left = delimiter.startsWith(":");
  if (delimiter.endsWith(":")) return left ? "center" : "right";
  return left ? "left" : "";
}

// --- Blanks. A tab reaches to the next column that 4 divides.

const isBlank = (line) => !/[^ \t]/.test(line);

/** How many columns of blanks a text begins with that begins at a column. */
function indentOf(text, column) {
  let at = column;
  for (const character of text) {
    if (character === " ") at += 1;
    else if (character === "\t") at += 4 - (at % 4);
    else break;
  }
  return at - column;
}

/** The text without that many columns of blanks, which it begins with. Of a tab that is cut, blanks remain. */
function withoutIndent(text, column, columns) {
  let i = 0;
  let at = column;
  for (; at < column + columns; i++) at += text[i] === "\t" ? 4 - (at % 4) : 1;
  return " ".repeat(at - column - columns) + text.slice(i);
}
