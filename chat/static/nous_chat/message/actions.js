// What can be done with a message, as a row of small buttons: shown to whom hovers or focuses it. One of them is in the
// page's tab order, the arrow keys go to the others. Called by message.js.

import { words } from "../i18n/strings.js";
import { el, icon, iconButton } from "../ui/dom.js";

const ALL = ["copy", "again", "reply", "edit", "fork", "remove"];

export class Actions {
  #buttons = new Map();

  /** @param {Record<string, () => void>} on by name, see ALL */
  constructor(on) {
    this.element = el("div", {
      class: "toolbar",
      role: "toolbar",
      "aria-label": words.actions,
      onkeydown: (event) => this.#key(event),
    });
    for (const name of ALL) {
      const button = iconButton(name, words.action[name], {
        class: "bare small",
        "data-action": name,
        onclick: () => on[name](),
      });
      this.#buttons.set(name, button);
      this.element.append(button);
    }
  }

  /** @param {Set<string>} offered */
  update(offered) {
    const focused = this.#focused();
    for (const [name, button] of this.#buttons) button.hidden = !offered.has(name);
    this.element.hidden = offered.size === 0;
    const shown = this.#shown();
    const stop = shown.includes(focused) ? focused : shown[0];
    for (const button of shown) button.tabIndex = button === stop ? 0 : -1;
  }

  /** Says for a moment that it is done. @param {string} name */
  done(name) {
    const button = this.#buttons.get(name);
    button.replaceChildren(icon("check"));
    setTimeout(() => button.replaceChildren(icon(name)), 1500);
  }

  #shown() {
    return [...this.#buttons.values()].filter((button) => !button.hidden);
  }

  #focused() {
    return this.element.getRootNode().activeElement ?? null;
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const shown = this.#shown();
    const rightToLeft = getComputedStyle(this.element).direction === "rtl" ? -1 : 1;
    const next = shown.at((shown.indexOf(this.#focused()) + step * rightToLeft) % shown.length);
    for (const button of shown) button.tabIndex = button === next ? 0 : -1;
    next.focus();
  }
}
