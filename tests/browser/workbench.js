// Helpers that run in a page of the site: draw Markdown with the page's own modules and inspect the result.
// conftest.py serves this file and js/markdown/documents.js, and adds the exports to the window.

import { whenIdle } from "/static/nous_chat/markdown/idle.js";
import { MarkdownView } from "/static/nous_chat/markdown/view.js";
import { showEditHistory } from "/static/nous_chat/message/edit-history.js";
import { TextView, Thinking } from "/static/nous_chat/message/text.js";
import { ToolCallView } from "/static/nous_chat/message/tool-call.js";

export * from "./documents.js";
export { TextView };

/** @param {string[]} pieces  @param {(element: HTMLElement) => void} [look] called after each piece  @returns {HTMLElement} */
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

/** Replaces each text node of an element, as translators do. @param {HTMLElement} element */
export function translate(element) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) {
    if (text.parentElement?.localName === "font") continue;
    const font = document.createElement("font");
    font.textContent = text.data;
    text.replaceWith(font);
  }
}

/** Waits until all idle work (colours, formulas, labels) is done. */
export async function settle() {
  await import("/static/nous_chat/vendor/katex/katex.js");
  await import("/static/nous_chat/vendor/highlightjs/highlight.js");
  for (let i = 0; i < 5; i++) await new Promise((done) => whenIdle(() => void done()));
}

const TAGS = new Set(
  `p h3 h4 h5 h6 ul ol li blockquote hr div span details summary sub sup kbd table thead tbody tr th td pre code button input a em
  strong s br img math semantics annotation mrow mi mo mn ms mtext mspace msup msub msubsup mfrac msqrt mroot mover munder
  munderover mtable mtr mtd mstyle mpadded mphantom menclose none merror`.split(/\s+/),
);
const ATTRIBUTES = new Set(
  `class dir lang translate href rel target title data-host alt src loading decoding referrerpolicy type
  disabled checked tabindex role scope start hidden encoding xmlns display fence stretchy separator form mathvariant mathsize
  mathcolor mathbackground minsize maxsize lspace rspace width height depth voffset linethickness columnalign columnspacing
  rowspacing columnlines rowlines accent accentunder displaystyle scriptlevel movablelimits symmetric notation valign
  data-level data-task data-loose data-align data-caret data-folded data-unfolded data-settled`.split(/\s+/),
);

/** Elements and attributes that no answer may produce. */
export function inventory(root) {
  const foreign = [];
  for (const node of root.querySelectorAll("*")) {
    if (!TAGS.has(node.localName)) foreign.push(node.localName);
    for (const { name, value } of node.attributes) {
      const known = ATTRIBUTES.has(name) || name.startsWith("aria-");
      const leads =
        name === "href" && !(node.localName === "a" && /^(https?:|mailto:|#(note|reference)-\d+$)/.test(value));
      const loads = name === "src" && !/^https?:\/\/allowed\.example\//.test(value);
      if (!known || leads || loads) foreign.push(`${node.localName} ${name}="${value}"`);
    }
  }
  return foreign;
}

/**
 * The texts during whose streaming anything forbidden appears, with what appeared.
 * @param {string[][]} texts  each in the pieces in which it arrives
 */
export async function strange(texts) {
  const drawn = texts.map((pieces) => {
    const found = [];
    const element = draw(pieces, (unfinished) => found.push(...inventory(unfinished)));
    document.body.append(element);
    return { text: pieces.join(""), found, element };
  });
  await settle();
  const all = drawn.map(({ text, found, element }) => ({ text, found: [...found, ...inventory(element)] }));
  for (const { element } of drawn) element.remove();
  return all.filter(({ found }) => found.length);
}

/** How often a closed block was changed while more text was appended. */
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

/** Milliseconds to draw a text in pieces, several times. */
function time(text, times) {
  const pieces = text.match(/.{1,2000}/gs) ?? [];
  const begin = performance.now();
  for (let i = 0; i < times; i++) draw(pieces);
  return performance.now() - begin;
}

/**
 * Pairs of times, if the large text takes more than `factor` times as long as the small one drawn as many times as the
 * large one is longer; none if it does not. Tries three times, so that a busy machine alone proves nothing.
 */
export function slower(small, large, factor) {
  const times = [];
  for (let i = 0; i < 3; i++) {
    const many = time(small, Math.round(large.length / small.length));
    const one = time(large, 1);
    if (one <= factor * many + 100) return [];
    times.push([many, one]);
  }
  return times;
}

/** @type {Element|null} what show() has put on the page */
let shown = null;

/** A message on the page in which elements can be put, in the place of the one before. @returns {HTMLElement} */
function place() {
  shown?.remove();
  const article = document.createElement("article");
  article.dataset.role = "assistant";
  article.innerHTML = '<div class="body"><div data-part="text" dir="auto"></div></div>';
  document.querySelector("nous-chat").shadowRoot.querySelector(".log .column").prepend(article);
  shown = article;
  return article.querySelector("[data-part]");
}

const markdown = (text) => new MarkdownView(place()).set(text, false);

function toolCall(text, awaiting) {
  const view = new ToolCallView((decision) => (window.decision = decision));
  const call = { id: "c", name: "look_up", arguments: { text }, result: text, decided_by: null, expires_at: null };
  const context = { active: awaiting, awaiting, mayDecide: true, launcher: null, agent: "Assistant" };
  view.update({ ...call, status: awaiting ? "awaiting_approval" : "done" }, context);
  view.element.querySelector("details").open = true;
  place().replaceWith(view.element);
}

const PLACES = {
  user: (text) => new TextView(place(), { links: true }).set(text),
  paragraph: markdown,
  code: (text) => markdown(`\`\`\`\n${text}\n\`\`\``),
  formula: (text) => markdown(`$$\n${text}\n$$`),
  cell: (text) => markdown(`|a|\n|-|\n|${text}|`),
  tool: (text) => toolCall(text, false),
  approval: (text) => toolCall(text, true),
  thinking: (text) => {
    const view = new Thinking();
    view.set(text, false);
    view.element.open = true;
    place().replaceWith(view.element);
  },
  edit: (text) => {
    const root = place();
    showEditHistory(root, [{ text, edited_by: null, edited_at: "2026-01-01T00:00:00Z", answers: [] }]);
  },
};

/** Shows a text in a place of the page. @param {keyof typeof PLACES} where  @param {string} text */
export const show = (where, text) => PLACES[where](text);

/** What is copied if everything that show() has put on the page is selected. */
export function selected() {
  getSelection().selectAllChildren(shown.querySelector("pre") ?? shown);
  return getSelection().toString();
}

/** Shows an answer that arrives in 200 pieces, each laid out. @param {string} text */
export function stream(text) {
  const part = place();
  const view = new MarkdownView(part);
  const size = Math.ceil(text.length / 200);
  for (let from = 0; from < text.length; from += size) {
    view.append(text.slice(from, from + size));
    part.getBoundingClientRect();
  }
  view.set(text, false);
}
