// A menu of actions that opens beside a button: arrows move in it, Escape or a click elsewhere closes it, and the focus
// goes back to the button. One for all that need one. Used by sidebar.js and panel.js.

import { el, icon } from "./dom.js";

export class Menu {
  #button = null;

  constructor() {
    this.element = el("div", {
      class: "actions",
      role: "menu",
      popover: "auto",
      onkeydown: (event) => this.#key(event),
      onbeforetoggle: ({ newState }) => newState === "closed" && this.#leave(),
    });
  }

  /**
   * @param {HTMLElement} button
   * @param {{icon: string, text: string, run: () => void, bad?: boolean}[]} entries
   */
  open(button, entries) {
    this.element.replaceChildren(
      ...entries.map((entry) =>
        el(
          "button",
          {
            type: "button",
            role: "menuitem",
            tabindex: "-1",
            class: entry.bad ? "bad" : null,
            onclick: () => this.#run(entry),
          },
          icon(entry.icon),
          entry.text,
        ),
      ),
    );
    this.element.setAttribute("aria-label", button.getAttribute("aria-label"));
    this.#button = button;
    this.element.showPopover();
    this.#place(button.getBoundingClientRect());
    this.element.firstElementChild.focus();
  }

  #place(beside) {
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const rightToLeft = getComputedStyle(this.element).direction === "rtl";
    const start = rightToLeft ? beside.left : beside.right - width;
    const below = beside.bottom + 4;
    const top = below + height > innerHeight ? beside.top - height - 4 : below;
    this.element.style.left = `${Math.max(8, Math.min(start, innerWidth - width - 8))}px`;
    this.element.style.top = `${Math.max(8, top)}px`;
  }

  #leave() {
    if (this.element.matches(":focus-within")) this.#button.focus();
  }

  #run({ run }) {
    this.element.hidePopover();
    run();
  }

  #key(event) {
    const items = [...this.element.children];
    const here = items.indexOf(event.target);
    const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: items.length - 1 }[event.key];
    if (next !== undefined) items.at(next % items.length).focus();
    else if (event.key === "Tab") this.element.hidePopover();
    else return;
    event.preventDefault();
  }
}
