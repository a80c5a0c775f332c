// The footnotes of one text: numbers in the order in which they appear, and links both ways. In a shadow tree the browser
// does not follow `#` links, so they are followed here. Used by view.js and prose.js.

import { strings } from "../i18n/strings.js";
import { el } from "../ui/dom.js";

export class Notes {
  /** @type {Map<string, {number: number, note: HTMLElement|null, references: HTMLElement[]}>} by label */
  #notes = new Map();

  /** A reference in the text. @param {string} label */
  reference(label) {
    const entry = this.#entry(label);
    const link = el(
      "a",
      {
        href: `#note-${entry.number}`,
        role: "doc-noteref",
        "aria-label": strings.footnote(entry.number),
        onclick: (event) => go(event, entry.note),
      },
      String(entry.number),
    );
    entry.references.push(link);
    return el("sup", { class: "reference" }, link);
  }

  /** The number of a footnote. @param {string} label  @param {HTMLElement} note */
  backlink(label, note) {
    const entry = this.#entry(label);
    entry.note ??= note;
    note.tabIndex = -1;
    return el(
      "a",
      {
        class: "number",
        href: `#reference-${entry.number}`,
        role: "doc-backlink",
        "aria-label": strings.footnote(entry.number),
        onclick: (event) => go(event, entry.references.find((each) => each.isConnected) ?? null),
      },
      `${entry.number}.`,
    );
  }

  /** @param {string} label */
  #entry(label) {
    const entry = this.#notes.get(label) ?? { number: this.#notes.size + 1, note: null, references: [] };
    this.#notes.set(label, entry);
    return entry;
  }
}

/** @param {MouseEvent} event  @param {HTMLElement|null} element */
function go(event, element) {
  event.preventDefault();
  element?.scrollIntoView({ block: "nearest" });
  element?.focus({ preventScroll: true });
}
