// What is saved, and what went wrong: the line below the text of an open document, and the one above it. Used by pane.js.

import { strings } from "../i18n/strings.js";
import { el } from "../ui/dom.js";
import { documentStrings as texts } from "./strings.js";

/** @import { ErrorEvent } from "../protocol/types.d.ts" */

export class Status {
  #place;
  /** @type {string|null} why the last push was refused */
  #refusal = null;

  /** @param {HTMLElement} place  of the document; its `data-saved` and `data-version` say the same to styles and tests */
  constructor(place) {
    this.#place = place;
    this.element = el("p", { class: "document-status", role: "status" });
    this.problem = el("p", { class: "problem", role: "alert", hidden: true });
  }

  /** @param {{saved: boolean, version: number|undefined, mayWrite: boolean, live: boolean}} state */
  show({ saved, version, mayWrite, live }) {
    this.#place.dataset.saved = String(saved);
    this.#place.dataset.version = String(version ?? "");
    let text = saved ? texts.saved : texts.saving;
    if (!mayWrite) text = texts.readOnly;
    else if (!live && !saved) text = texts.waiting;
    if (this.element.textContent !== text) this.element.textContent = text;
  }

  /** A push was refused and waits; null: it no longer waits. @param {ErrorEvent|null} refusal */
  refused(refusal) {
    const sentence = refusal && strings.refused(refusal);
    if (sentence === this.#refusal) return;
    this.#refusal = sentence;
    this.complain(sentence);
  }

  /** @param {string|null} sentence null: nothing is wrong */
  complain(sentence) {
    this.problem.textContent = sentence;
    this.problem.hidden = !sentence;
  }
}
