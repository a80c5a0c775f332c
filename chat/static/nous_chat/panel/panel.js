// The side panel, closed at first: a column in a wide window, a modal dialog in a narrow one. Its content (sections.js) is
// loaded when it is first opened. Used by nous-chat.js.

import { strings } from "../i18n/strings.js";
import { dialog } from "../ui/dialog.js";
import { el, iconButton } from "../ui/dom.js";

/** @import { State } from "../protocol/types.d.ts" */

const COLUMN_WIDTH = 1180; // px of the whole chat from which there is room for a third column

export class Panel {
  #api;
  #agents;
  #openDocument;
  #count;
  #content;
  /** @type {string|null} */
  #conversation = null;
  /** @type {State|null} */
  #state = null;
  /** @type {import("./sections.js").PanelSections|null} of the current conversation */
  #sections = null;

  /**
   * @param {import("../protocol/api.js").Api} api
   * @param {import("../protocol/types.d.ts").AgentName[]} agents all agents of the site
   * @param {(id: string) => void} openDocument
   */
  constructor(api, agents, openDocument) {
    this.#api = api;
    this.#openDocument = (/** @type {string} */ id) => {
      this.element.close(); // there is no room for both
      openDocument(id);
    };
    this.#agents = agents;
    this.#count = el("span", { "aria-hidden": "true" });
    this.button = iconButton("people", strings.panel, {
      class: "icon-button people",
      "aria-expanded": "false",
      onclick: () => this.#toggle(),
    });
    this.button.append(this.#count);
    this.#content = el("div", { class: "scroller" });
    this.element = dialog(strings.panel, "panel", this.#content);
    this.element.addEventListener("close", () => this.#closed());
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Another conversation was opened. @param {string} id */
  open(id) {
    this.#conversation = id;
    this.#state = this.#sections = null;
    this.#count.textContent = "";
    this.#content.replaceChildren();
  }

  /** @param {State} state */
  show(state) {
    this.#state = state;
    this.#count.textContent = state.participants.size > 1 ? strings.number(state.participants.size) : "";
    if (!this.element.open) return;
    if (this.#sections) this.#sections.show(state);
    else this.#load();
  }

  #toggle() {
    if (this.element.open) return this.element.close();
    const narrow = (this.element.parentElement?.clientWidth ?? 0) < COLUMN_WIDTH;
    if (narrow) this.element.showModal();
    else this.element.show();
    this.button.setAttribute("aria-expanded", "true");
    this.#load();
  }

  async #load() {
    const module = await import("./sections.js").catch(() => null);
    if (!module) {
      return this.#content.replaceChildren(el("p", { class: "problem", role: "alert" }, strings.unreachable));
    }
    if (!this.#state || !this.#conversation) return; // show() calls this again
    this.#sections ??= new module.PanelSections(this.#api, this.#conversation, this.#agents, this.#openDocument);
    this.#content.replaceChildren(this.#sections.element);
    this.#sections.show(this.#state);
    this.#sections.refresh();
  }

  #closed() {
    this.button.setAttribute("aria-expanded", "false");
    this.button.focus();
  }

  /** As a column it is not modal, so Escape has to be handled here, or it would stop an answer. @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.stopPropagation();
    if (!this.element.querySelector(":popover-open")) this.element.close();
  }
}
