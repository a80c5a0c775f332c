// A document on paper. The editor lays out only what is visible, so the whole text is laid out for the printer. Used by
// actions.js.

import { MarkdownView } from "../markdown/view.js";
import { el } from "../ui/dom.js";

/** @import { Document } from "../protocol/types.d.ts" */

/** @param {HTMLElement} place  of the document  @param {Document|null} document  @param {string} text */
export function printDocument(place, document, text) {
  const sheet = el("div", { class: "document-print" }, el("h1", { dir: "auto" }, document?.title ?? ""));
  if (document?.kind === "markdown") {
    const content = sheet.appendChild(el("div"));
    new MarkdownView(content).set(text, false);
  } else sheet.append(el("pre", { dir: "auto" }, text));
  place.append(sheet);
  print();
  sheet.remove();
}
