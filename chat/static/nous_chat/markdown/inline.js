// What stands inside a block: a piece of text comes in, a tree of runs goes out. markdown-it reads it; nothing in here
// makes HTML, and raw HTML is text. No page in here. Used by prose.js.

import MarkdownIt from "../vendor/markdown-it/markdown-it.js";
import remend from "../vendor/remend/remend.js";

/**
 * @typedef {{type: "text"|"code", text: string}
 *   | {type: "math", text: string, source: string, display: boolean}
 *   | {type: "image", text: string, href: string}
 *   | {type: "link", href: string, children: Run[]}
 *   | {type: "em"|"strong"|"s", children: Run[]}
 *   | {type: "br"}} Run
 */

const parser = new MarkdownIt("default", { html: false, linkify: true, maxNesting: 20 });
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
parser.inline.ruler.before("escape", "math", math);

const FORMULAS = [
  ["$$", "$$", true],
  ["\\[", "\\]", true],
  ["\\(", "\\)", false],
  ["$", "$", false],
];
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
 * @param {Object<string, {href: string, title: string}>} definitions what `[label]` refers to
 * @param {boolean} unfinished is more of it on its way? Then marks that are open at its end count as closed
 * @returns {Run[]}
 */
export function inline(text, definitions, unfinished = false) {
  const [{ children }] = parser.parseInline(unfinished ? remend(text, MEND) : text, { references: definitions });
  const open = [[]];
  for (const token of children) {
    if (token.nesting < 0) {
      open.pop();
      continue;
    }
    const run = runOf(token);
    const last = open.at(-1).at(-1);
    if (run.type === "text" && last?.type === "text") last.text += run.text;
    else if (run.text !== "") open.at(-1).push(run);
    if (token.nesting > 0) open.push(run.children);
  }
  return open[0];
}

function runOf(token) {
  const { type, content } = token;
  if (type === "softbreak") return { type: "text", text: "\n" };
  if (type === "hardbreak") return { type: "br" };
  if (type === "code_inline") return { type: "code", text: content };
  if (type === "math") return { type: "math", text: content, ...token.meta };
  if (type === "image") return { type: "image", text: content || token.attrGet("src"), href: token.attrGet("src") };
  if (type === "link_open") return { type: "link", href: token.attrGet("href"), children: [] };
  return type in PAIRS ? { type: PAIRS[type], children: [] } : { type: "text", text: content };
}

/** A rule for markdown-it: `$x$`, `\(x\)`, and in display `$$x$$`, `\[x\]`. Prices and paths are none (as in Pandoc). */
function math(state, silent) {
  const { src, pos } = state;
  const [opening, closing, display] = FORMULAS.find(([mark]) => src.startsWith(mark, pos)) ?? [];
  if (!opening) return false;
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
