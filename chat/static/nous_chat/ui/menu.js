// A menu of actions that opens next to a button. The arrow keys move in it, Escape or a click elsewhere closes it, and
// the focus returns to the button. Used by sidebar.js and panel/sections.js.

import { el, icon } from "./dom.js";

/** @typedef {{icon: import("./dom.js").Icon, text: string, run: () => void, bad?: boolean}} MenuItem */

export class Menu {
  /** @type {HTMLElement|null} */
  #button = null;

  constructor() {
    this.element = el("div", {
      class: "menu-actions",
      role: "menu",
      popover: "auto",
      onkeydown: (event) => this.#key(event),
      onbeforetoggle: ({ newState }) => newState === "closed" && this.#restoreFocus(),
    });
  }

  /** @param {HTMLElement} button  @param {MenuItem[]} items */
  open(button, items) {
    this.element.replaceChildren(
      ...items.map((item) => {
        const attributes = { type: "button", role: "menuitem", tabindex: "-1", class: item.bad ? "bad" : null };
        return el("button", { ...attributes, onclick: () => this.#run(item) }, icon(item.icon), item.text);
      }),
    );
    this.element.setAttribute("aria-label", button.getAttribute("aria-label") ?? "");
    this.#button = button;
    this.element.showPopover();
    this.#place(button.getBoundingClientRect());
    this.#items[0].focus();
  }

  get #items() {
    return /** @type {HTMLElement[]} */ ([...this.element.children]);
  }

  /** @param {DOMRect} anchor */
  #place(anchor) {
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const rightToLeft = getComputedStyle(this.element).direction === "rtl";
    const start = rightToLeft ? anchor.left : anchor.right - width;
    const below = anchor.bottom + 4;
    const top = below + height > innerHeight ? anchor.top - height - 4 : below;
    this.element.style.left = `${Math.max(8, Math.min(start, innerWidth - width - 8))}px`;
    this.element.style.top = `${Math.max(8, top)}px`;
  }

  #restoreFocus() {
    if (this.element.matches(":focus-within")) this.#button?.focus();
  }

  /** @param {MenuItem} item */
  #run({ run }) {
    this.element.hidePopover();
    run();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const items = this.#items;
    const current = items.indexOf(/** @type {HTMLElement} */ (event.target));
    /** @type {Record<string, number>} */
    const targets = { ArrowDown: current + 1, ArrowUp: current - 1, Home: 0, End: items.length - 1 };
    const next = targets[event.key];
    if (next !== undefined) items.at(next % items.length)?.focus();
    else if (event.key === "Tab") this.element.hidePopover();
    else return;
    event.preventDefault();
  }
}
