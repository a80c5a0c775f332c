// Block structure of Markdown, parsed as it streams: pieces of text come in, and a tree of blocks grows at its end. Each
// line is read once, against the blocks that are open (the strategy of CommonMark's appendix), so a line costs the same at
// the end of a long answer as at its start, and the tree does not depend on how the text was cut. It has no DOM; inline.js
// parses the text of a block. Used by view.js.

/**
 * @typedef {Container|Leaf} Block  `open`: it may still change. Only the last child of an open block is open
 *
 * @typedef {object} Container
 * @property {"document"|"quote"|"list"|"item"|"details"|"footnote"} type
 * @property {boolean} open
 * @property {Block[]} children      of a list: items only
 * @property {boolean} [ordered]     of a list
 * @property {number} [start]        of an ordered list
 * @property {string} [marker]       of a list: what its items begin with
 * @property {boolean} [loose]       of a list: blank lines stand between its parts
 * @property {boolean|null} [task]   of an item: done, not done, or null for no task
 * @property {number} [width]        of an item or a footnote: columns by which its lines are indented
 * @property {string} [summary]      of details; "" if it is not known yet
 * @property {string} [label]        of a footnote, as a key of `definitions`
 *
 * @typedef {Prose|Code|Formula|Table|Rule} Leaf
 * @typedef {{type: "paragraph"|"heading", open: boolean, text: string, level?: number}} Prose  `level` 1 to 6
 * @typedef {{type: "code", open: boolean, text: string, language: string, verbatim: true, fence?: string, indent?: number, nested?: number}} Code
 *   `language` is the first word after the fence; each line of `text` has its "\n"; `nested` is how many fences are open in
 *   it, if it is Markdown
 * @typedef {{type: "math", open: boolean, text: string, verbatim: true, fence: string, indent: number}} Formula
 * @typedef {{type: "table", open: boolean, align: (""|"left"|"center"|"right")[], rows: string[][]}} Table  the header first
 * @typedef {{type: "rule", open: boolean}} Rule
 *
 * @typedef {object} OpenLeaf the leaf that lines are added to; its fields depend on its type
 * @property {Leaf["type"]} type
 * @property {boolean} open
 * @property {string} text
 * @property {true} [verbatim]
 * @property {boolean} [blank]       of a formula: its last line is blank
 * @property {string} [fence]
 * @property {number} indent
 * @property {number} [nested]
 * @property {Table["align"]} align
 * @property {string[][]} rows
 *
 * @typedef {object} Plan what a line means for the open blocks
 * @property {number} depth          how many containers stay open
 * @property {Container[]} [starts]  containers that it opens
 * @property {Leaf} [leaf]           leaf that it opens
 * @property {string} [text]         of the leaf
 * @property {string} [verbatim]     a line of code or of a formula
 * @property {boolean} [ends]        the code or formula ends in it
 * @property {number} [nests]        1 or -1: a fence in a block of Markdown begins or ends
 * @property {string} [summary]      of the innermost details
 * @property {boolean} [closes]      the containers that it opens end in it
 * @property {boolean} [blank]
 * @property {boolean} [continues]   it continues the open paragraph
 * @property {string} [row]          of the open table
 * @property {number} [underline]    it makes the open paragraph a heading of this level
 * @property {string} [delimiters]   it makes the open paragraph's last line the header of a table
 * @property {RegExpExecArray} [definition]
 *
 * @typedef {{depth: number, text: string, block: null}|{depth: number, text?: undefined, block: Block}} Guess what a line
 *   will probably be: `text` continues the open block; `block` ends the container at that depth (the document's is 0)
 */

const LONG = 1000; // characters that decide what a line is: more of it is text, and need not wait for the line's end
const SHORT = 2000; // a longer paragraph cannot become a heading or a table
const DEEPEST = 24; // containers, of which a list and its item are two; anything deeper is text
const MOST_COLUMNS = 64;

const FENCE = /^(?:(`{3,})([^`]*)|(~{3,})(.*))$/;
const FENCE_END = /^(?:`{3,}|~{3,})$/;
const FORMULA = /^(?:\$\$(?!\$)|\\\[)/;
/** @type {Record<string, string>} */
const FORMULA_END = { $$: "$$", "\\[": "\\]" };
const RULE = /^(?:(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|(?:-[ \t]*){3,})$/;
/** Languages of code in which models nest fences of the same length. */
const NESTING = /^(?:markdown|md|mdx)$/i;
const DETAILS = /^<details(?:[ \t]+open)?>[ \t]*/i;
const DETAILS_END = /^<\/details>[ \t]*/i;
const SUMMARY = /^<summary>(.*?)<\/summary>[ \t]*/i;
const FOOTNOTE = /^\[\^([^\]\s]{1,100})\]:[ \t]*/;
const LONGEST_FORMULA = 3000; // characters, after which a blank line ends it
const UNDERLINE = /^(?:=+|-+)[ \t]*$/;
const HEADING = /^(#{1,6})(?:[ \t]+|$)/;
const HEADING_END = /(?:^|[ \t]+)#+[ \t]*$/;
const MARKER = /^(?:([-+*])|(\d{1,9})([.)]))(?=[ \t]|$)/;
const TASK = /^\[([ xX])\][ \t]+(?=\S)/;
const DELIMITERS = /^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const DEFINITION =
  /^\[(?!\^)((?:[^[\]\\]|\\.){1,999})\]:[ \t]*(<[^<>]*>|[^\s<]\S*)(?:[ \t]+("[^"]*"|'[^']*'|\([^()]*\)))?[ \t]*$/;

/** An unfinished line that may still become anything. It is shown once that is decided, some milliseconds later. */
const UNDECIDED =
  /^(?:[-+*_=#>|:~$`\\[\]()! \t]*|\d{1,9}[.)]?[ \t]*|\[[ xX]\]?[ \t]*|\[[^\]]*\]:.*|\[\^[^\]]*\]?|\|.*|<\/?(?:[a-z]{0,7}|(?:details|summary)\b.*))$/i;

export class Blocks {
  /** @type {Container} */
  root = { type: "document", open: true, children: [] };
  /** Definitions `[label]: address "title"` by label. @type {Object<string, {href: string, title: string}>} */
  definitions = Object.create(null);
  defined = 0; // how many

  /** The open containers, outermost first. */
  #open = /** @type {[Container, ...Container[]]} */ ([this.root]);
  /** The open leaf of the innermost one. @type {OpenLeaf|null} */
  #leaf = null;
  #blank = false; // the last line was blank, between blocks
  #line = ""; // the unfinished line
  #long = false; // its beginning has been parsed, so the rest of it belongs to the leaf

  /** @param {string} text the next piece */
  push(text) {
    let from = 0;
    for (let end; (end = text.indexOf("\n", from)) >= 0; from = end + 1) {
      this.#gather(text.slice(from, end));
      this.#endLine();
    }
    this.#gather(text.slice(from));
  }

  /** The text is complete. */
  close() {
    if (this.#line || this.#long) this.#endLine();
    this.#closeTo(0);
  }

  /** What the unfinished line will probably be. Changes nothing. @returns {Guess|null} */
  preview() {
    if (!this.#line || this.#leaf?.type === "table") return null;
    const plan = this.#plan(this.#line);
    const depth = plan.depth - 1;
    if (plan.verbatim !== undefined && !plan.starts) {
      const mayEnd = this.#leaf?.fence && /^[ \t]*[`~$\\]/.test(plan.verbatim);
      return mayEnd || plan.ends ? null : { depth, text: plan.verbatim, block: null };
    }
    plan.text ??= plan.verbatim;
    if (plan.text === undefined || UNDECIDED.test(plan.text)) return null;
    if (plan.continues) return { depth, text: `\n${plan.text}`, block: null };
    const leaf = { ...plan.leaf, text: plan.text };
    const nested = /** @type {[Block, ...Container[]]} */ (/** @type {unknown} */ ([...(plan.starts ?? []), leaf]));
    for (const [i, block] of nested.slice(1).entries()) place(block, /** @type {Container} */ (nested[i]));
    return { depth, block: nested[0] };
  }

  /** @param {string} text without a line end */
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

  /** More of a long line. @param {string} text */
  #extend(text) {
    if (this.#leaf) this.#leaf.text += text;
    else if (text.trim()) this.#add(paragraph(text.trimStart()));
  }

  /** Changes nothing. @param {string} line  @returns {Plan} */
  #plan(line) {
    const long = this.#long;
    const open = this.#open;
    let leaf = /** @type {OpenLeaf|null} */ (this.#leaf);
    let rest = line;
    let column = 0;
    const skip = (/** @type {number} */ columns) => {
      rest = withoutIndent(rest, column, columns);
      column += columns;
    };
    const skipMarker = (/** @type {number} */ width) => {
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
      const { type, width = 0, children } = open[depth];
      if (type === "list" || type === "details") continue;
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

    if (all && leaf?.verbatim && continues(leaf, rest, indentOf(rest, column))) {
      const indent = Math.min(indentOf(rest, column), leaf.fence ? leaf.indent : 4);
      const verbatim = withoutIndent(rest, column, indent);
      const nests = long ? 0 : nesting(leaf, rest);
      if (nests) return { depth, verbatim, nests };
      const end = !long && leaf.fence ? endOf(leaf, rest) : null;
      return { depth, verbatim: end ?? verbatim, ends: end !== null };
    }
    if (isBlank(rest)) return { depth, starts: [], blank: true };

    const details = open.findLastIndex(({ type }, i) => type === "details" && i < depth);
    const [ending] = (!long && details > 0 && DETAILS_END.exec(rest.trimStart())) || [];
    if (ending) {
      depth = details;
      leaf = null;
      rest = rest.trimStart().slice(ending.length);
      if (isBlank(rest)) return { depth, starts: [] };
    }

    /** @type {Container[]} */
    const starts = [];
    /** @type {string|undefined} */
    let summary;
    let closes = false;
    /** A list holds only items, so anything else ends it. @param {Partial<Plan>} plan  @returns {Plan} */
    const found = (plan) => {
      const outside = open[depth - 1].type === "list" && starts[0]?.type !== "item";
      return {
        depth: outside ? depth - 1 : depth,
        starts,
        closes,
        summary: starts.length ? undefined : summary,
        ...plan,
      };
    };
    while (depth + starts.length < DEEPEST) {
      const indent = indentOf(rest, column);
      const text = rest.trimStart();
      const first = starts.length === 0;
      const interrupts = all && first && leaf?.type === "paragraph";
      const innermost = starts.at(-1) ?? open[depth - 1];
      const titled = !summary && !long && innermost.summary === "" && !innermost.children.length && SUMMARY.exec(text);
      if (titled) {
        summary = titled[1].trim();
        if (!first) innermost.summary = summary;
        rest = text.slice(titled[0].length);
        if (isBlank(rest)) return found({ blank: true });
        continue;
      }
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
      const [tag] = (!long && DETAILS.exec(text)) || [];
      if (tag) {
        starts.push({ type: "details", open: true, children: [], summary: "" });
        rest = text.slice(tag.length);
        const end = rest.search(/<\/details>[ \t]*$/i);
        if (end >= 0) rest = rest.slice(0, end);
        if (end >= 0) closes = true;
        if (isBlank(rest)) return found({ blank: true });
        continue;
      }
      const note = long ? null : FOOTNOTE.exec(text);
      if (note) {
        starts.push({ type: "footnote", open: true, children: [], label: keyOf(`^${note[1]}`), width: 4 });
        rest = text.slice(note[0].length);
        if (isBlank(rest)) return found({ blank: true });
        continue;
      }
      const [opening = "", signs] = HEADING.exec(text) ?? [];
      if (signs) {
        const title = text.slice(opening.length);
        return found({ leaf: heading(signs.length), text: long ? title : title.replace(HEADING_END, "").trimEnd() });
      }
      const block = long ? null : (fencedCode(text, indent) ?? formula(text, indent));
      if (block) return found({ leaf: block });
      if (!long && interrupts && leaf && leaf.text.length <= SHORT) {
        if (UNDERLINE.test(text)) return { depth, underline: text[0] === "=" ? 1 : 2 };
        if (isHeader(leaf.text, text)) return { depth, delimiters: text };
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

  /** The only method that changes the tree. @param {Plan} plan */
  #perform(plan) {
    const apart = this.#blank;
    const open = /** @type {OpenLeaf} */ (this.#leaf);
    this.#blank = false;
    if (plan.continues) return void (open.text += `\n${plan.text}`);
    if (plan.row !== undefined) return void open.rows.push(cellsOf(plan.row, open.align.length));
    if (plan.underline) return this.#underline(plan.underline);
    if (plan.delimiters) return this.#table(plan.delimiters);
    this.#closeTo(plan.depth);
    if (!plan.starts) return this.#verbatim(plan);
    this.#closeLeaf();
    if (plan.summary !== undefined) this.#innermost.summary = plan.summary;
    for (const [i, start] of plan.starts.entries()) this.#add(start, apart && i === 0);
    if (plan.blank) this.#blank = plan.starts.length === 0 && this.#innermost.type !== "quote";
    if (plan.definition) this.#define(plan.definition);
    if (plan.leaf) this.#addLeaf(plan.leaf, plan, apart && plan.starts.length === 0);
    if (plan.closes) this.#closeTo(plan.depth);
  }

  /** @param {Leaf} leaf  @param {Plan} plan  @param {boolean} apart */
  #addLeaf(leaf, plan, apart) {
    if (plan.text !== undefined && "text" in leaf) leaf.text = plan.text;
    this.#add(leaf, apart);
    if (plan.verbatim !== undefined) this.#verbatim(plan);
  }

  /** @param {Plan} plan */
  #verbatim({ verbatim, ends = false, nests = 0 }) {
    const leaf = /** @type {OpenLeaf} */ (this.#leaf);
    if (nests) leaf.nested = (leaf.nested ?? 0) + nests;
    leaf.blank = leaf.text !== "" && isBlank(verbatim ?? "");
    if (!ends || verbatim) leaf.text += this.#long ? verbatim : `${verbatim}\n`;
    if (ends) this.#closeLeaf();
  }

  /** The open paragraph becomes a heading. @param {number} level */
  #underline(level) {
    const { children } = this.#innermost;
    const { text } = /** @type {OpenLeaf} */ (this.#leaf);
    this.#closeLeaf();
    children[children.length - 1] = { ...heading(level), open: false, text: text.trimEnd() };
  }

  /** The open paragraph's last line becomes the header of a table. @param {string} delimiters */
  #table(delimiters) {
    const leaf = /** @type {OpenLeaf} */ (this.#leaf);
    const lines = leaf.text.split("\n");
    const align = cellsOf(delimiters).map(alignment);
    const rows = [cellsOf(lines.pop() ?? "", align.length)];
    leaf.text = lines.join("\n");
    if (lines.length === 0) this.#innermost.children.pop();
    this.#closeLeaf();
    this.#add({ type: "table", open: true, align, rows });
  }

  /** @param {RegExpExecArray} definition */
  #define([, label, address, title = ""]) {
    this.#label(keyOf(label), address.replace(/^<(.*)>$/, "$1"), title.slice(1, -1));
  }

  /** @param {string} key  @param {string} href  @param {string} title */
  #label(key, href, title) {
    if (key in this.definitions) return;
    this.definitions[key] = { href, title };
    this.defined += 1;
  }

  /** @param {Block} block  @param {boolean} [apart] a blank line stands before it */
  #add(block, apart = false) {
    const parent = this.#innermost;
    if (apart && parent.children.length > 0) {
      if (parent.type === "list") parent.loose = true;
      if (parent.type === "item") this.#open[this.#open.length - 2].loose = true;
    }
    place(block, parent);
    if (block.type === "footnote") this.#label(block.label ?? "", "", "");
    if ("children" in block) this.#open.push(block);
    else if (block.open) this.#leaf = /** @type {OpenLeaf} */ (block);
  }

  get #innermost() {
    return this.#open[this.#open.length - 1];
  }

  /** @param {number} depth */
  #closeTo(depth) {
    if (depth >= this.#open.length) return;
    this.#closeLeaf();
    for (const block of this.#open.splice(depth)) block.open = false;
  }

  #closeLeaf() {
    if (!this.#leaf) return;
    this.#leaf.open = false;
    const { type, fence } = this.#leaf;
    if (type === "math" || (type === "code" && !fence)) this.#leaf.text = this.#leaf.text.replace(/\n+$/, "\n");
    this.#leaf = null;
  }
}

// --- Blocks

/** The key of a label: CommonMark's labels are case-insensitive. @param {string} label */
const keyOf = (label) => label.trim().replace(/\s+/g, " ").toLowerCase().toUpperCase();

/** @returns {Prose} */
const paragraph = (text = "") => ({ type: "paragraph", open: true, text });
/** @param {number} level  @returns {Prose} */
const heading = (level) => ({ type: "heading", open: true, level, text: "" });
/** @returns {Code} */
const indentedCode = () => ({ type: "code", open: true, verbatim: true, language: "", text: "" });

/** @param {string} line  @param {number} indent  @returns {Code|null} */
function fencedCode(line, indent) {
  const match = FENCE.exec(line);
  if (!match) return null;
  const language = (match[2] ?? match[4]).trim().split(/[\s{,]/)[0];
  const nested = NESTING.test(language) ? 0 : undefined;
  return { type: "code", open: true, verbatim: true, language, text: "", fence: match[1] ?? match[3], indent, nested };
}

/**
 * What a line of Markdown code is to the fences in it: 1 if one begins, -1 if one ends, else 0. By CommonMark it could not
 * contain fences of its own length, but models write them, and the rest of the answer would be read inside out.
 * @param {OpenLeaf} leaf  @param {string} line
 */
function nesting({ nested, fence = "" }, line) {
  const match = nested === undefined ? null : FENCE.exec(line.trim());
  if (!match?.[0].startsWith(fence)) return 0;
  if ((match[2] ?? match[4]).trim()) return 1;
  return nested ? -1 : 0;
}

/**
 * A formula that begins with `$$` or `\[`. It may end in the same line, with nothing after it.
 * @param {string} line  @param {number} indent  @returns {Formula|null}
 */
function formula(line, indent) {
  const [fence] = FORMULA.exec(line) ?? [];
  if (!fence) return null;
  /** @type {Formula} */
  const block = { type: "math", open: true, verbatim: true, text: "", fence: FORMULA_END[fence], indent };
  const text = line.slice(fence.length).trim();
  if (!text) return block;
  const end = text.indexOf(block.fence);
  if (end < 0) return { ...block, text: `${text}\n` };
  return end === text.length - block.fence.length ? { ...block, open: false, text: `${text.slice(0, end)}\n` } : null;
}

/** @param {RegExpExecArray} marker  @returns {Container} */
function listOf([, bullet, number, after]) {
  /** @type {Container} */
  const list = { type: "list", open: true, children: [], ordered: !bullet, loose: false, marker: bullet ?? after };
  return bullet ? list : { ...list, start: Number(number) };
}

/** Adds a block to its container; an item's first paragraph may make it a task. @param {Block} block  @param {Container} parent */
function place(block, parent) {
  const task =
    parent.type === "item" && parent.children.length === 0 && block.type === "paragraph" && TASK.exec(block.text);
  if (task) {
    parent.task = task[1] !== " ";
    block.text = block.text.slice(task[0].length);
  }
  parent.children.push(block);
}

/**
 * Returns true if a line belongs to the open code or formula. A formula whose end is missing ends at a blank line before
 * running text.
 * @param {Pick<OpenLeaf, "type"|"fence"|"text"|"blank">} leaf  @param {string} line  @param {number} indent
 */
function continues({ type, fence, text, blank }, line, indent) {
  if (type === "math" && blank) {
    if (text.length > LONGEST_FORMULA || isProse(line)) return false;
  }
  if (isBlank(line)) return type === "code" || type === "math";
  return Boolean(fence) || indent > 3;
}

/** Returns true if a line cannot be part of a formula. @param {string} line */
function isProse(line) {
  const words = line.replace(/\\[a-z]+[ \t]*(?:\{[^}]*\})?/gi, "");
  if (/^[ \t]*(?:#{1,6}[ \t]|```|~~~)/.test(line)) return true;
  return /(?:\p{L}{2,}[ ,;:]+){2}\p{L}{2,}|\p{L}{3,}[.!?:]$|\p{scx=Han}{4,}|^[^\\\d=+*/<>^_&{}|]*\p{L}{3}[^\\\d=+*/<>^_&{}|]*$/u.test(
    words,
  );
}

/** The part of a line before the end of the code or formula; null if it does not end. @param {Pick<OpenLeaf, "type"|"fence">} leaf  @param {string} line */
function endOf({ type, fence = "" }, line) {
  const text = line.trim();
  if (type === "math") return text.endsWith(fence) ? text.slice(0, -fence.length).trimEnd() : null;
  return FENCE_END.test(text) && text.startsWith(fence) && indentOf(line, 0) < 4 ? "" : null;
}

// --- Lines of tables

/** @param {string} paragraph  @param {string} delimiters */
function isHeader(paragraph, delimiters) {
  const head = paragraph.slice(paragraph.lastIndexOf("\n") + 1);
  if (!head.includes("|") || !DELIMITERS.test(delimiters)) return false;
  const columns = cellsOf(delimiters).length;
  return columns <= MOST_COLUMNS && cellsOf(head).length === columns;
}

/** @param {string} line  @param {number} [columns] how many cells to return */
function cellsOf(line, columns) {
  const text = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "");
  const cells = text.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
  return columns === undefined ? cells : Array.from({ length: columns }, (_, i) => cells[i] ?? "");
}

/** @param {string} delimiter */
function alignment(delimiter) {
  const left = delimiter.startsWith(":");
  if (delimiter.endsWith(":")) return left ? "center" : "right";
  return left ? "left" : "";
}

// --- Blanks. A tab advances to the next multiple of 4 columns.

/** @param {string} line */
const isBlank = (line) => !/[^ \t]/.test(line);

/** Columns of blanks at the start of a text that itself starts at a column. @param {string} text  @param {number} column */
function indentOf(text, column) {
  let at = column;
  for (const character of text) {
    if (character === " ") at += 1;
    else if (character === "\t") at += 4 - (at % 4);
    else break;
  }
  return at - column;
}

/**
 * Removes columns of blanks from the start of a text. Blanks remain of a tab that is cut.
 * @param {string} text  @param {number} column where it starts  @param {number} columns
 */
function withoutIndent(text, column, columns) {
  let i = 0;
  let at = column;
  for (; at < column + columns; i++) at += text[i] === "\t" ? 4 - (at % 4) : 1;
  return " ".repeat(at - column - columns) + text.slice(i);
}
