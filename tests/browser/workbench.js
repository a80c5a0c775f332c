// In a page of the site: draws Markdown with the page's own modules, whole or in pieces, and looks at what came out.
// test_markdown.py serves it, with js/markdown/documents.js beside it, and puts what is exported here into the window.

import { whenIdle } from "/static/nous_chat/markdown/idle.js";
import { MarkdownView } from "/static/nous_chat/markdown/view.js";

export * from "./documents.js";

/** @param {string[]} pieces  @param {(element: HTMLElement) => void} [look] after each of them  @returns {HTMLElement} */
export function draw(pieces, look = () => {}) {
  const element = document.createElement("div");
  const view = new MarkdownView(element);
  for (const piece of pieces) {
    view.append(piece);
    look(element);
  }
  view.set(pieces.join(""), false);
  return element;
}

/** Waits until nothing is left to be coloured, typeset or read again. */
export async function settle() {
  await import("/static/nous_chat/vendor/katex/katex.js");
  await import("/static/nous_chat/vendor/highlightjs/highlight.js");
  for (let i = 0; i < 5; i++) await new Promise((done) => whenIdle(() => void done()));
}

const TAGS = new Set(
  `p h3 h4 h5 h6 ul ol li blockquote hr div span table thead tbody tr th td pre code button input a em
  strong s br img math semantics annotation mrow mi mo mn ms mtext mspace msup msub msubsup mfrac msqrt mroot mover munder
  munderover mtable mtr mtd mstyle mpadded mphantom menclose none merror`.split(/\s+/),
);
const ATTRIBUTES = new Set(
  `class dir lang href rel target title data-host alt src loading decoding referrerpolicy type
  disabled checked tabindex role scope start hidden encoding xmlns display fence stretchy separator form mathvariant mathsize
  mathcolor mathbackground minsize maxsize lspace rspace width height depth voffset linethickness columnalign columnspacing
  rowspacing columnlines rowlines accent accentunder displaystyle scriptlevel movablelimits symmetric notation valign
  data-level data-task data-loose data-align data-caret data-folded data-unfolded data-settled`.split(/\s+/),
);

/** What stands under an element that an answer cannot have brought there in an honest way. */
export function inventory(root) {
  const foreign = [];
  for (const node of root.querySelectorAll("*")) {
    if (!TAGS.has(node.localName)) foreign.push(node.localName);
    for (const { name, value } of node.attributes) {
      const known = ATTRIBUTES.has(name) || name.startsWith("aria-");
      const leads = name === "href" && !(node.localName === "a" && /^(https?|mailto):/.test(value));
      const loads = name === "src" && !/^https?:\/\/allowed\.example\//.test(value);
      if (!known || leads || loads) foreign.push(`${node.localName} ${name}="${value}"`);
    }
  }
  return foreign;
}

/** All that appears in any moment of a text that comes in pieces and is not in order. */
export async function strange(pieces) {
  const found = [];
  const element = draw(pieces, (unfinished) => found.push(...inventory(unfinished)));
  document.body.append(element);
  await settle();
  return [...found, ...inventory(element)];
}

/** How often a closed block was touched while more text came. */
export function touched(text) {
  const element = document.createElement("div");
  const view = new MarkdownView(element);
  view.append(text.repeat(5));
  const closed = [...element.querySelectorAll(".section > *")].slice(0, -1);
  const watching = new MutationObserver(() => {});
  watching.observe(element, { subtree: true, childList: true, characterData: true, attributes: true });
  for (const character of text.repeat(3)) view.append(character);
  return watching.takeRecords().filter(({ target }) => closed.some((block) => block.contains(target))).length;
}

/** Milliseconds to draw a text that comes in pieces, so many times. */
function time(text, times) {
  const pieces = text.match(/.{1,2000}/gs) ?? [];
  const begin = performance.now();
  for (let i = 0; i < times; i++) draw(pieces);
  return performance.now() - begin;
}

/**
 * Three times, one right after the other: how long the small text takes, drawn as often as the large one is longer, and
 * how long the large one takes. A machine that has other things to do slows both alike.
 */
export function compare(small, large) {
  return Array.from({ length: 3 }, () => [time(small, Math.round(large.length / small.length)), time(large, 1)]);
}
