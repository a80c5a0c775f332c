// Inline Markdown: turns a block's text into a tree of spans. markdown-it parses it. Raw HTML stays text, but for a closed
// list of tags without attributes, which become spans; no HTML is produced. It has no DOM. Used by prose.js and, for URLs in plain text, by message/text.js.

import MarkdownIt from "../vendor/markdown-it/markdown-it.js";
import remend from "../vendor/remend/remend.js";

/**
 * @typedef {import("../vendor/markdown-it/markdown-it.js").Token} Token
 * @typedef {{type: "text"|"code", text: string}
 *   | {type: "math", text: string, source: string, display: boolean}
 *   | {type: "image", text: string, href: string}
 *   | {type: "link", href: string, children: Span[]}
 *   | {type: "note", label: string, children: Span[]}
 *   | {type: "em"|"strong"|"s"|"sub"|"sup"|"kbd", children: Span[]}
 *   | {type: "br"}} Span
 */

const parser = new MarkdownIt("default", { html: false, linkify: true, maxNesting: 20 });

const { linkify } = parser;
const LETTER = /[\p{L}\p{N}]/u;
const LATIN = /[\p{Script=Latin}\p{N}]/u;
const ASCII = /[!-~]/;

linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
const schemaAt = linkify.testSchemaAt.bind(linkify);
linkify.testSchemaAt = (text, schema, from) => schemaAt(text.slice(0, endOfUrl(text, from)), schema, from);
parser.inline.ruler.before("escape", "math", math);
parser.inline.ruler.before("autolink", "tag", tag);
parser.inline.State.prototype.scanDelims = scanDelims;

/** @type {[string, string, boolean][]} opening mark, closing mark, display */
const FORMULAS = [
  ["$$", "$$", true],
  ["\\[", "\\]", true],
  ["\\(", "\\)", false],
  ["$", "$", false],
];
/** @type {Record<string, "em"|"strong"|"s"|"sub"|"sup"|"kbd">} */
const PAIRS = { em_open: "em", strong_open: "strong", s_open: "s", sub_open: "sub", sup_open: "sup", kbd_open: "kbd" };
const TAG = /<(?:(br)[ \t]*\/?|(sub|sup|kbd))>/iy;
const TAG_BEGINNING = /<(?:\/?(?:b|br|s|su|sub|sup|k|kb|kbd)?)?[ \t]*\/?$/i;

const SPACE = /\s/;
const PUNCTUATION = /[\p{P}\p{S}]/u;
const CJK =
  /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Hangul}\p{scx=Bopomofo}\ufe10-\ufe1f\ufe30-\ufe6f\uff00-\uffef]/u;
const MEND = {
  linkMode: "text-only",
  comparisonOperators: false,
  htmlTags: false,
  katex: false,
  setextHeadings: false,
  singleTilde: false,
};

/**
 * @param {string} text
 * @param {Record<string, {href: string, title: string}>} definitions of `[label]` links
 * @param {boolean} [unfinished] true if more text will follow: marks that are still open count as closed
 * @returns {Span[]}
 */
export function inline(text, definitions, unfinished = false) {
  const source = unfinished ? remend(text.replace(TAG_BEGINNING, ""), MEND) : text;
  const [{ children }] = parser.parseInline(source, { references: definitions, unfinished });
  /** @type {Span[][]} */
  const open = [[]];
  for (const token of children ?? []) {
    if (token.nesting < 0) {
      open.pop();
      continue;
    }
    const span = spanOf(token);
    const siblings = open[open.length - 1];
    const last = siblings.at(-1);
    if (span.type === "text" && last?.type === "text") last.text += span.text;
    else if (!("text" in span) || span.text !== "") siblings.push(span);
    if ("children" in span && token.nesting > 0) open.push(span.children);
  }
  return open[0];
}

/** @param {Token} token  @returns {Span} */
function spanOf(token) {
  const { type, content } = token;
  if (type === "softbreak") return { type: "text", text: "\n" };
  if (type === "hardbreak") return { type: "br" };
  if (type === "code_inline") return { type: "code", text: content };
  if (type === "math") return { type: "math", text: content, ...token.meta };
  const src = token.attrGet("src") ?? "";
  if (type === "image") return { type: "image", text: content || src, href: src };
  const note = type === "link_open" && token.meta?.label?.startsWith("^") && token.meta.label;
  if (note) return { type: "note", label: note, children: [] };
  if (type === "link_open") return { type: "link", href: token.attrGet("href") ?? "", children: [] };
  return type in PAIRS ? { type: PAIRS[type], children: [] } : { type: "text", text: content };
}

/**
 * A rule for markdown-it: `$x$`, `\(x\)`, and in display `$$x$$`, `\[x\]`. As in Pandoc, prices and paths are no formulas.
 * @param {import("../vendor/markdown-it/markdown-it.js").StateInline} state  @param {boolean} silent
 */
function math(state, silent) {
  const { src, pos } = state;
  const [opening, closing, display] = FORMULAS.find(([mark]) => src.startsWith(mark, pos)) ?? [];
  if (!opening || !closing) return false;
  const begin = pos + opening.length;
  const end = src.indexOf(closing, begin);
  const text = src.slice(begin, end);
  if (end < 0 || !text.trim() || /\n[ \t]*\n/.test(text)) return false;
  if (
    opening === "$" &&
    (/^\s|[\s\\]$/.test(text) || /\w/.test(src[pos - 1] ?? "") || !mayEnd(text, src.slice(end + 1)))
  )
    return false;
  if (!silent) {
    const token = state.push("math", "", 0);
    token.content = text;
    token.meta = { display, source: src.slice(pos, end + closing.length) };
  }
  state.pos = end + closing.length;
  return true;
}

/**
 * Returns true if a formula in single `$` may end before this text: `$n$th` and `$2^n$s` are formulas, `$5 or$6` and the
 * amounts in `$5到$x$` are not.
 * @param {string} formula  @param {string} after
 */
function mayEnd(formula, after) {
  if (!/^\w/.test(after)) return true;
  return /^[a-z]{1,3}(?![\w^$\\])/.test(after) && !/[\s\u0080-\uffff]|^[\d.,]+[a-z]*\W*$/i.test(formula);
}

/**
 * A rule for markdown-it: `<br>`, and `<sub>`, `<sup>` and `<kbd>` with their closing tags.
 * @param {import("../vendor/markdown-it/markdown-it.js").StateInline} state  @param {boolean} silent
 */
function tag(state, silent) {
  const { src, pos, posMax, env } = state;
  TAG.lastIndex = pos;
  const [found, br, given = ""] = TAG.exec(src) ?? [];
  if (!found || pos + found.length > posMax) return false;
  if (br) {
    if (!silent) state.push("hardbreak", "br", 0);
    state.pos += found.length;
    return true;
  }
  const name = given.toLowerCase();
  const begin = pos + found.length;
  let end = closingTag(src.slice(0, posMax), name, begin);
  if (end < 0 && !env.unfinished) return false;
  if (end < 0) end = posMax;
  if (!silent) {
    state.push(`${name}_open`, name, 1);
    state.pos = begin;
    state.posMax = end;
    state.md.inline.tokenize(state);
    state.push(`${name}_close`, name, -1);
  }
  state.posMax = posMax;
  state.pos = Math.min(posMax, end + name.length + 3);
  return true;
}

/** Where the closing tag of an open one begins; -1 if there is none. @param {string} src  @param {string} name  @param {number} from */
function closingTag(src, name, from) {
  let depth = 1;
  for (const { 0: found, index } of src.slice(from).matchAll(new RegExp(`</?${name}>`, "gi"))) {
    depth += found[1] === "/" ? -1 : 1;
    if (depth === 0) return from + index;
  }
  return -1;
}

/**
 * How a run of `*`, `_` or `~` may open and close emphasis. CommonMark's rules count on spaces between words; as in the
 * amendment that markdown-cjk-friendly proposes, Chinese, Japanese and Korean need none next to punctuation.
 * @this {import("../vendor/markdown-it/markdown-it.js").StateInline}
 * @param {number} start  @param {boolean} canSplitWord
 */
function scanDelims(start, canSplitWord) {
  const { src, posMax } = this;
  let end = start;
  while (end < posMax && src[end] === src[start]) end += 1;
  const before = [...src.slice(Math.max(0, start - 2), start)].at(-1) ?? " ";
  const after = end < posMax ? String.fromCodePoint(src.codePointAt(end) ?? 32) : " ";
  const flanks = (/** @type {string} */ near, /** @type {string} */ far) => {
    if (SPACE.test(near)) return false;
    const apart = SPACE.test(far) || PUNCTUATION.test(far) || CJK.test(far);
    return !PUNCTUATION.test(near) || CJK.test(near) || apart;
  };
  const left = flanks(after, before);
  const right = flanks(before, after);
  return {
    can_open: left && (canSplitWord || !right || PUNCTUATION.test(before)),
    can_close: right && (canSplitWord || !left || PUNCTUATION.test(after)),
    length: end - start,
  };
}

/**
 * Where a URL ends at the latest: before a letter of another script that directly follows a Latin letter or a digit, and
 * before punctuation of another script. `/wiki/日本語` is whole, `example.org了解` is not.
 * @param {string} text  @param {number} from
 */
function endOfUrl(text, from) {
  let latin = false;
  let at = from;
  for (const character of text.slice(from, from + 2000)) {
    const letter = LETTER.test(character) || /\p{M}/u.test(character);
    const other = letter && !LATIN.test(character) && !/\p{M}/u.test(character);
    if ((other && latin) || (!letter && !ASCII.test(character))) break;
    latin = letter && !other;
    at += character.length;
  }
  return at;
}

/** The bare URLs in a text. @param {string} text  @returns {{start: number, end: number, url: string}[]} */
export function findLinks(text) {
  const found = [];
  let end = 0;
  for (const { index } of text.matchAll(/https?:\/\//gi)) {
    if (index < end) continue;
    const match = linkify.matchAtStart(text.slice(index, index + 4000));
    if (!match) continue;
    end = index + match.lastIndex;
    found.push({ start: index, end, url: match.url });
  }
  return found;
}
