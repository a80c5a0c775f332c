// A formula as MathML, which needs no style and no font of ours. Until KaTeX is there, and where it cannot read it, the
// source stands in its place. Called by prose.js and view.js.

import { el } from "../ui/dom.js";
import { later, resettle } from "./idle.js";

const LONGEST = 3000; // characters; what is longer stays as it was written
const LIMITS = { output: "mathml", strict: "ignore", trust: false, maxExpand: 200, maxSize: 50, throwOnError: true };

let katex = null;
let loading = null;

/**
 * @param {string} text TeX  @param {string} source as the model wrote it  @param {boolean} display on a line of its own?
 * @returns {HTMLElement}
 */
export function formula(text, source, display) {
  const element = el("span", { class: display ? "math display" : "math", dir: "ltr" }, source);
  if (text.length <= LONGEST) later(() => void draw(element, text, source, display));
  return element;
}

function draw(element, text, source, displayMode) {
  if (!katex) {
    loading ??= import("../vendor/katex/katex.js").then((module) => (katex = module.default));
    loading.then(
      () => later(() => void draw(element, text, source, displayMode)),
      () => {},
    );
    return;
  }
  try {
    katex.render(text, element, { ...LIMITS, displayMode });
    resettle(element); // KaTeX may have come late
  } catch {
    // a ParseError, or a RangeError where it is nested too deeply; the element has been emptied
    element.textContent = source;
    element.classList.add("unreadable");
  }
}
