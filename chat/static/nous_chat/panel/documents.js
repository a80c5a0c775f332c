// The documents of a conversation, in the panel: a list, and a form for a new one. Used by sections.js.

import { strings } from "../i18n/strings.js";
import { mayPost } from "../protocol/permissions.js";
import { dropDown, el, icon } from "../ui/dom.js";

/** @import { Document, DocumentKind, State } from "../protocol/types.d.ts" */

export class DocumentList {
  #list = el("ul", { class: "document-list", "aria-label": strings.documents });
  #form;
  #title;
  #kind;
  #open;

  /**
   * @param {object} acts
   * @param {(id: string) => void} acts.open
   * @param {(fields: {title: string, kind: DocumentKind}) => Promise<Document|null>} acts.create  null if it was refused
   */
  constructor({ open, create }) {
    this.#open = open;
    this.#title = el("input", { required: true, maxlength: 200, autocomplete: "off", dir: "auto" });
    this.#kind = dropDown(Object.keys(strings.documentKinds), strings.documentKinds, "markdown");
    this.#form = el(
      "form",
      {
        class: "new-document",
        onsubmit: async (event) => {
          event.preventDefault();
          const kind = /** @type {DocumentKind} */ (this.#kind.value);
          const created = await create({ title: this.#title.value.trim(), kind });
          if (!created) return;
          this.#title.value = "";
          open(created.id);
        },
      },
      el("label", {}, strings.newDocument, this.#title),
      el("label", {}, strings.documentKind, this.#kind),
      el("button", { class: "secondary" }, strings.create),
    );
    this.element = el("section", {}, el("h3", {}, strings.documents), this.#list, this.#form);
  }

  /** @param {State} state */
  show({ documents, you }) {
    const writes = mayPost(you);
    this.#form.hidden = !writes;
    this.element.hidden = !writes && documents.size === 0;
    this.#list.hidden = documents.size === 0;
    const focused = /** @type {HTMLElement|null} */ (this.#list.querySelector(":focus"))?.dataset.document;
    this.#list.replaceChildren(...[...documents.values()].map((document) => this.#row(document)));
    if (focused) /** @type {HTMLElement|null} */ (this.#list.querySelector(`[data-document="${focused}"]`))?.focus();
  }

  /** @param {Document} document */
  #row({ id, title, kind, writing }) {
    const state = writing ? strings.doing.writes(writing.agent.name) : strings.documentKinds[kind];
    return el(
      "li",
      {},
      el(
        "button",
        { type: "button", onclick: () => this.#open(id), "data-document": id },
        icon("file"),
        el("span", { class: "name", dir: "auto" }, title),
        el("small", {}, state),
      ),
    );
  }
}
