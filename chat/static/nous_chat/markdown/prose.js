// Running text inside an element: of a paragraph, a heading, a cell. What stands there already and is still right stays,
// so that appending is cheap and a selection is kept. Nothing here sets HTML, ids or styles. Called by view.js.

import { words } from "../i18n/strings.js";
import { el } from "../ui/dom.js";
import { formula } from "./formula.js";
import { inline } from "./inline.js";
import { addressOf, isPicture } from "./site.js";

/** A piece that is so long is finished at a line's or a sentence's end in its second half: the rest is read alone. */
const PIECE = 4000;

export class Prose {
  #element;
  #definitions;
  #done = 0; // how much of the text is in finished pieces
  #nodes = []; // of the last piece, with the runs that they show, as JSON
  #text = "";

  /**
   * @param {HTMLElement} element
   * @param {Object<string, object>} definitions as in blocks.js; they may grow
   */
  constructor(element, definitions) {
    this.#element = element;
    this.#definitions = definitions;
  }

  /**
   * @param {string} text all of it
   * @param {object} [options]
   * @param {string} [options.more] what will probably follow
   * @param {boolean} [options.open] may it still grow?
   */
  show(text, { more = "", open = false } = {}) {
    while (text.length - this.#done > PIECE) {
      const end = endOfPiece(text, this.#done);
      this.#draw(text.slice(this.#done, end));
      this.#nodes = [];
      this.#done = end;
    }
    this.#text = text;
    this.#draw(text.slice(this.#done) + more, open);
  }

  /** Reads it all again, now that more is defined. */
  renew() {
    this.#element.replaceChildren();
    this.#done = 0;
    this.#nodes = [];
    this.show(this.#text);
  }

  #draw(text, open = false) {
    const runs = inline(open ? text : text.trimEnd(), this.#definitions, open);
    const keys = runs.map((run) => JSON.stringify(run));
    let same = 0;
    while (same < keys.length && keys[same] === this.#nodes[same]?.key) same += 1;
    const last = this.#nodes[same];
    if (runs[same]?.type === "text" && last?.node.nodeType === Node.TEXT_NODE) {
      if (runs[same].text.startsWith(last.node.data)) last.node.appendData(runs[same].text.slice(last.node.length));
      else last.node.data = runs[same].text;
      last.key = keys[same];
      same += 1;
    }
    for (const { node } of this.#nodes.splice(same)) node.remove();
    for (let i = same; i < runs.length; i++) this.#nodes.push({ key: keys[i], node: nodeOf(runs[i]) });
    this.#element.append(...this.#nodes.slice(same).map(({ node }) => node));
  }
}

/** Decided by what stands before the end alone, so that it does not matter how much had come when it was asked. */
function endOfPiece(text, from) {
  const half = text.slice(from + PIECE / 2, from + PIECE);
  const end = Math.max(half.lastIndexOf("\n"), half.lastIndexOf(". ")) + 1 || half.lastIndexOf(" ") + 1 || half.length;
  const splits = end === half.length && /[\ud800-\udbff]$/.test(half);
  return from + PIECE / 2 + end - (splits ? 1 : 0);
}

function nodeOf(run) {
  const children = () => run.children.map(nodeOf);
  switch (run.type) {
    case "text":
      return document.createTextNode(run.text);
    case "code":
      return el("code", { dir: "ltr" }, run.text);
    case "math":
      return formula(run.text, run.source, run.display);
    case "link":
      return link(run.href, children());
    case "image":
      return picture(run);
    default:
      return el(run.type, {}, ...(run.children ? children() : [])); // em, strong, s, br
  }
}

/** Where it leads is said behind it, unless it is what the link says. */
function link(href, children) {
  const url = addressOf(href);
  if (!url) return el("span", {}, ...children);
  const a = el("a", { href: url.href, target: "_blank", rel: "noopener noreferrer", title: url.href }, ...children);
  const said = a.textContent.replace(/^\w+:\/*/, "");
  if (url.host && said !== url.host && !said.startsWith(`${url.host}/`)) a.dataset.host = url.host;
  return a;
}

/** A picture of a host that the site allows; of any other, a link to it. */
function picture({ text, href }) {
  const url = addressOf(href);
  if (!url) return el("span", {}, text);
  if (!isPicture(url)) return link(href, [words.picture(text)]);
  return el("img", {
    src: url.href,
    alt: text,
    title: text,
    loading: "lazy",
    decoding: "async",
    referrerpolicy: "no-referrer",
  });
}
