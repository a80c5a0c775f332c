// The card of a document that a tool call has created or changed; it opens the document next to the conversation. Used by
// tool-call.js.

import { strings } from "../i18n/strings.js";
import { el, icon } from "../ui/dom.js";

/** @import { Document } from "../protocol/types.d.ts" */

export class DocumentCard {
  #title = el("span", { class: "name", dir: "auto" });
  #state = el("small");

  /** @param {() => void} onOpen */
  constructor(onOpen) {
    this.element = el(
      "button",
      { type: "button", class: "document-card", onclick: onOpen, hidden: true },
      icon("file"),
      el("span", {}, this.#title, this.#state),
    );
  }

  /** @param {Document|null} document */
  show(document) {
    this.element.hidden = document === null;
    if (!document) return;
    const { title, writing } = document;
    this.#title.textContent = title;
    this.#state.textContent = writing ? strings.doing.writes(writing.agent.name) : strings.openDocument;
    this.element.toggleAttribute("data-writing", Boolean(writing));
    this.element.dataset.document = document.id;
  }
}
