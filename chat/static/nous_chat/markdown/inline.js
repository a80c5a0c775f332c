// Inline Markdown: turns a block's text into a tree of spans. markdown-it parses it; raw HTML stays text, no HTML is
// produced. It has no DOM. Used by prose.js.

import MarkdownIt from "../vendor/markdown-it/markdown-it.js";
import remend from "../vendor/remend/remend.js";

/**
 * @typedef {import("../vendor/markdown-it/markdown-it.js").Token} Token
 * @typedef {{type: "text"|"code", text: string}
 *   | {type: "math", text: string, source: string, display: boolean}
 *   | {type: "image", text: string, href: string}
 *   | {type: "link", href: string, children: Span[]}
 *   | {type: "em"|"strong"|"s", children: Span[]}
 *   | {type: "br"}} Span
 */

const parser = new MarkdownIt("default", { html: false, linkify: true, maxNesting: 20 });
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
parser.inline.ruler.before("escape", "math", math);

/** @type {[string, string, boolean][]} opening mark, closing mark, display */
const FORMULAS = [
  ["$$", "$$", true],
  ["\\[", "\\]", true],
  ["\\(", "\\)", false],
  ["$", "$", false],
];
/** @type {Record<string, "em"|"strong"|"s">} */
const PAIRS = { em_open: "em", strong_open: "strong", s_open: "s" };
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
  const [{ children }] = parser.parseInline(unfinished ? remend(text, MEND) : text, { references: definitions });
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
  if (opening === "$" && (/^\s|[\s\\]$/.test(text) || /\w/.test(src[end + 1] ?? "") || /\w/.test(src[pos - 1] ?? "")))
    return false;
  if (!silent) {
    const token = state.push("math", "", 0);
    token.content = text;
    token.meta = { display, source: src.slice(pos, end + closing.length) };
  }
  state.pos = end + closing.length;
  return true;
}
