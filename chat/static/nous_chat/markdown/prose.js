// Running text: of a paragraph, a heading or a table cell. Nodes that are still right are kept, so that appending is cheap
// and a selection survives. It sets no HTML, ids or styles. Used by view.js.

import { endOfPiece, limitMarks, PIECE } from "../i18n/graphemes.js";
import { strings } from "../i18n/strings.js";
import { el } from "../ui/dom.js";
import { formula } from "./formula.js";
import { inline } from "./inline.js";
import { isAllowedImage, safeUrl } from "./site.js";

/**
 * @import { Span } from "./inline.js"
 * @typedef {{definitions: Record<string, {href: string, title: string}>, notes: import("./footnotes.js").Notes}} Shared
 */

export class Prose {
  #element;
  #shared;
  #place; // where the last piece stands
  #done = 0; // characters in finished pieces
  /** @type {{key: string, node: HTMLElement|Text}[]} nodes of the last piece, with their spans as JSON */
  #nodes = [];
  #text = "";

  /**
   * @param {HTMLElement} element
   * @param {Shared} shared by the blocks of one text; the definitions of blocks.js may grow
   */
  constructor(element, shared) {
    this.#element = this.#place = element;
    this.#shared = shared;
  }

  /**
   * @param {string} text all of it
   * @param {object} [options]
   * @param {string} [options.more] what will probably follow
   * @param {boolean} [options.open] true if the text may grow
   */
  show(text, { more = "", open = false } = {}) {
    // Something else, such as a translator, may have replaced nodes: then what is here is not what was drawn.
    if (this.#nodes.some(({ node }) => node.parentNode !== this.#place)) this.#clear();
    while (text.length - this.#done > PIECE) {
      const end = endOfPiece(text, this.#done);
      this.#draw(text.slice(this.#done, end));
      this.#beginPiece();
      this.#done = end;
    }
    this.#text = text;
    const rest = text.slice(this.#done) + more;
    this.#draw(open ? rest : rest.trimEnd(), open);
  }

  /** Reads the text again, because more labels are defined. */
  refresh() {
    this.#clear();
    this.show(this.#text);
  }

  /** A text that is short has no elements for its pieces. */
  #beginPiece() {
    const piece = () => el("span", { class: "piece" });
    if (!this.#done) {
      const first = piece();
      first.append(...this.#element.childNodes);
      this.#element.append(first);
    }
    this.#place = this.#element.appendChild(piece());
    this.#nodes = [];
  }

  #clear() {
    this.#element.replaceChildren();
    this.#place = this.#element;
    this.#done = 0;
    this.#nodes = [];
  }

  /** @param {string} text  @param {boolean} [open] */
  #draw(text, open = false) {
    const spans = inline(limitMarks(text), this.#shared.definitions, open);
    const keys = spans.map((span) => JSON.stringify(span));
    let same = 0;
    while (same < keys.length && keys[same] === this.#nodes[same]?.key) same += 1;
    const last = this.#nodes[same];
    const next = spans[same];
    if (next?.type === "text" && last?.node instanceof Text) {
      if (next.text.startsWith(last.node.data)) last.node.appendData(next.text.slice(last.node.length));
      else last.node.data = next.text;
      last.key = keys[same];
      same += 1;
    }
    for (const { node } of this.#nodes.splice(same)) node.remove();
    for (let i = same; i < spans.length; i++)
      this.#nodes.push({ key: keys[i], node: nodeOf(spans[i], this.#shared.notes) });
    this.#place.append(...this.#nodes.slice(same).map(({ node }) => node));
  }
}

/** @param {Span} span  @param {Shared["notes"]} notes  @returns {HTMLElement|Text} */
function nodeOf(span, notes) {
  const children = "children" in span ? span.children.map((child) => nodeOf(child, notes)) : [];
  switch (span.type) {
    case "text":
      return document.createTextNode(span.text);
    case "code":
      return el("code", { dir: "ltr", translate: "no" }, span.text);
    case "math":
      return formula(span.text, span.source, span.display);
    case "link":
      return link(span.href, children);
    case "note":
      return footnote(span.label, children, notes);
    case "image":
      return image(span);
    case "br":
      return el("br");
    default:
      return el(span.type, { translate: span.type === "kbd" && "no" }, ...children);
  }
}

/** A reference to a footnote. `[text][^1]` is one as well, behind its text. @param {string} label  @param {(HTMLElement|Text)[]} children  @param {Shared["notes"]} notes */
function footnote(label, children, notes) {
  const reference = notes.reference(label);
  return children[0]?.textContent?.startsWith("^") ? reference : el("span", {}, ...children, reference);
}

/** A link, followed by its host, unless its text says where it goes. @param {string} href  @param {(Node|string)[]} children */
export function link(href, children) {
  const url = safeUrl(href);
  if (!url) return el("span", {}, ...children);
  const a = el("a", { href: url.href, target: "_blank", rel: "noopener noreferrer", title: url.href }, ...children);
  const text = (a.textContent ?? "").replace(/^\w+:\/*/, "");
  if (url.host && text !== url.host && !text.startsWith(`${url.host}/`)) a.dataset.host = url.host;
  return a;
}

/** An image from a host that the site allows; otherwise a link to it. @param {{text: string, href: string}} span */
function image({ text, href }) {
  const url = safeUrl(href);
  if (!url) return el("span", {}, text);
  if (!isAllowedImage(url)) return link(href, [strings.image(text)]);
  return el("img", {
    src: url.href,
    alt: text,
    title: text,
    loading: "lazy",
    decoding: "async",
    referrerpolicy: "no-referrer",
  });
}
