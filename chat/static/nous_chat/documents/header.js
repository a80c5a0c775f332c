// The header of an open document: title and kind, the choice of its views, its menu, full width, and the button that closes
// it. Used by pane.js.

import { strings } from "../i18n/strings.js";
import { el, iconButton } from "../ui/dom.js";
import { Menu } from "../ui/menu.js";
import { documentStrings as texts } from "./strings.js";

export class DocumentHeader {
  #context;
  #title = el("h2", { tabindex: "-1", dir: "auto" }, strings.document);
  #kind = el("p", { class: "kind" });
  #widen;
  #tools;
  /** @type {HTMLElement|null} */
  #modes = null;
  /** The menu of actions, which stands at the end of the document. */
  menu = new Menu();

  /** @param {import("./context.js").Context} context  @param {{actions: () => import("../ui/menu.js").MenuItem[], close: () => void}} options */
  constructor(context, { actions, close }) {
    this.#context = context;
    const { heading, state } = context.options;
    this.#widen = iconButton("widen", texts.widen, {
      class: "icon-button widen",
      "aria-pressed": "false",
      onclick: () => this.#toggleWidth(),
    });
    const more = iconButton("more", texts.actions, { onclick: () => this.menu.open(more, actions()) });
    this.#tools = el("div", { class: "document-tools", hidden: true }, more, this.#widen);
    this.element = el(
      "header",
      { class: "document-header" },
      // For screen readers, while the document stands in the place of the conversation.
      el(heading, { class: "visually-hidden within" }, state.conversation?.title || strings.untitled),
      el("div", { class: "document-title" }, this.#title, this.#kind),
      this.#tools,
      iconButton("close", texts.close, { onclick: close }),
    );
  }

  show() {
    const { document, place } = this.#context;
    if (!document) return;
    const { id, title, kind, language } = document;
    this.#title.textContent = title;
    this.#kind.textContent = [strings.documentKinds[kind], language].filter(Boolean).join(", ");
    place.setAttribute("aria-label", title);
    place.dataset.document = id;
  }

  /** Shows the choice of views, if there is one. @param {HTMLElement|undefined} modes */
  showModes(modes) {
    this.#modes?.remove();
    this.#modes = modes ?? null;
    if (modes) this.#tools.prepend(modes);
  }

  /** What is done with a text is offered while there is one. @param {boolean} there */
  showTools(there) {
    this.#tools.hidden = !there;
  }

  focus() {
    this.#title.focus();
  }

  #toggleWidth() {
    const stage = this.#context.place.parentElement;
    if (!stage) return;
    const wide = stage.dataset.document !== "wide";
    stage.dataset.document = wide ? "wide" : "side-by-side";
    this.#widen.setAttribute("aria-pressed", String(wide));
  }
}
