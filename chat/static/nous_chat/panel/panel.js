// The place beside the conversation, hidden until asked for: in a wide window a column, in a narrow one a window of its
// own. What stands in it (room.js) is loaded when it is first opened. Called by nous-chat.js.

import { words } from "../i18n/strings.js";
import { el, icon, iconButton } from "../ui/dom.js";

const COLUMN = 1180; // px of the whole, from where there is room for a third column

export class Panel {
  #api;
  #agents;
  #number;
  #inside;
  #id = null;
  #state = null;
  #room = null; // of the conversation `#id`

  /**
   * @param {import("../protocol/api.js").Api} api
   * @param {{slug: string, name: string}[]} agents all of the site
   */
  constructor(api, agents) {
    this.#api = api;
    this.#agents = agents;
    this.#number = el("span", { "aria-hidden": "true" });
    this.button = el(
      "button",
      {
        type: "button",
        class: "bare people",
        "aria-label": words.panel,
        title: words.panel,
        "aria-expanded": "false",
        onclick: () => this.#toggle(),
      },
      icon("people"),
      this.#number,
    );
    this.#inside = el("div", { class: "scroller" });
    this.element = el(
      "dialog",
      {
        class: "panel",
        "aria-label": words.panel,
        onclose: () => this.#closed(),
        onclick: ({ target }) => target === this.element && this.element.close(),
        onkeydown: (event) => this.#key(event),
      },
      el(
        "div",
        { class: "window" },
        el(
          "header",
          {},
          el("h2", {}, words.panel),
          iconButton("close", words.close, { onclick: () => this.element.close() }),
        ),
        this.#inside,
      ),
    );
  }

  /** Another conversation is on the stage, or none. @param {string|null} id */
  open(id) {
    this.#id = id;
    this.#state = this.#room = null;
    this.#number.textContent = "";
    this.#inside.replaceChildren();
  }

  /** @param {import("../protocol/reducer.js").State} state */
  show(state) {
    this.#state = state;
    this.#number.textContent = state.participants.size > 1 ? words.number(state.participants.size) : "";
    if (!this.element.open) return;
    if (this.#room) this.#room.show(state);
    else this.#enter();
  }

  #toggle() {
    if (this.element.open) return this.element.close();
    const narrow = this.element.parentElement.clientWidth < COLUMN;
    if (narrow) this.element.showModal();
    else this.element.show();
    this.button.setAttribute("aria-expanded", "true");
    this.#enter();
  }

  async #enter() {
    const { Room } = await import("./sections.js").catch(() => ({}));
    if (!Room) return this.#inside.replaceChildren(el("p", { class: "problem", role: "alert" }, words.unreachable));
    if (!this.#state) return; // show() comes back here
    this.#room ??= new Room(this.#api, this.#id, this.#agents);
    this.#inside.replaceChildren(this.#room.element);
    this.#room.show(this.#state);
    this.#room.refresh();
  }

  #closed() {
    this.button.setAttribute("aria-expanded", "false");
    this.button.focus();
  }

  /** As a column it is no modal window, and Escape would stop an answer. */
  #key(event) {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.stopPropagation();
    if (!this.element.querySelector(":popover-open")) this.element.close();
  }
}
