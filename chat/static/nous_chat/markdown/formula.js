// A formula as MathML, which needs no styles and no fonts. Its source is shown until KaTeX is loaded, and if KaTeX cannot
// read it. Used by prose.js and view.js.

import { el } from "../ui/dom.js";
import { resettle, whenIdle } from "./idle.js";

const LONGEST = 3000; // characters; a longer formula stays as written
const LONGEST_DEFINING = 300; // the same for one that defines commands, whose use takes the square of its length
const DEFINES = /\\\w*(?:def|command)/;
export const OPTIONS = {
  output: "mathml",
  strict: "ignore",
  trust: false,
  maxExpand: 200,
  maxSize: 50,
  throwOnError: true,
};

/** @type {typeof import("../vendor/katex/katex.js").default|null} */
let katex = null;
/** @type {Promise<unknown>|null} */
let loading = null;

/** @param {string} text TeX */
export const isReadable = (text) => text.length <= (DEFINES.test(text) ? LONGEST_DEFINING : LONGEST);

/**
 * @param {string} text TeX
 * @param {string} source as the model wrote it, with its delimiters
 * @param {boolean} display true for a formula on its own line
 */
export function formula(text, source, display) {
  const element = el("span", { class: display ? "math display" : "math", dir: "ltr", translate: "no" }, source);
  if (isReadable(text)) whenIdle(() => void draw(element, text, source, display));
  return element;
}

/** @param {HTMLElement} element  @param {string} text  @param {string} source  @param {boolean} displayMode */
function draw(element, text, source, displayMode) {
  if (!katex) {
    loading ??= import("../vendor/katex/katex.js").then((module) => (katex = module.default));
    loading.then(
      () => whenIdle(() => void draw(element, text, source, displayMode)),
      () => {},
    );
    return;
  }
  try {
    katex.render(text, element, { ...OPTIONS, displayMode });
    resettle(element); // KaTeX may have been loaded late
  } catch {
    // a ParseError, or a RangeError if it is nested too deeply; the element is empty now
    element.textContent = source;
    element.classList.add("unreadable");
  }
}
