// The toolbar of a message, shown on hover and focus. One button is in the page's tab order; the arrow keys reach the
// others. Used by message.js.

import { strings } from "../i18n/strings.js";
import { el, icon, iconButton } from "../ui/dom.js";

const ACTIONS = /** @type {const} */ (["copy", "retry", "feedback", "reply", "edit", "fork", "delete"]);

/** @typedef {typeof ACTIONS[number]} Action */

export class Actions {
  /** @type {Map<Action, HTMLButtonElement>} */
  #buttons = new Map();

  /** @param {Record<Action, () => void>} on */
  constructor(on) {
    this.element = el("div", {
      class: "toolbar",
      role: "toolbar",
      "aria-label": strings.actions,
      onkeydown: (event) => this.#key(event),
    });
    for (const name of ACTIONS) {
      const attributes = { class: "icon-button small", "data-action": name, onclick: () => on[name]() };
      const button = iconButton(name, strings.action[name], attributes);
      this.#buttons.set(name, button);
      this.element.append(button);
    }
  }

  /** @param {Set<Action>} offered */
  update(offered) {
    const focused = this.#focused;
    for (const [name, button] of this.#buttons) button.hidden = !offered.has(name);
    this.element.hidden = offered.size === 0;
    const shown = this.#shown;
    const tabStop = shown.find((button) => button === focused) ?? shown[0];
    for (const button of shown) button.tabIndex = button === tabStop ? 0 : -1;
  }

  /** Shows for a moment that an action is done. @param {Action} name */
  done(name) {
    const button = this.#buttons.get(name);
    button?.replaceChildren(icon("check"));
    setTimeout(() => button?.replaceChildren(icon(name)), 1500);
  }

  get #shown() {
    return [...this.#buttons.values()].filter((button) => !button.hidden);
  }

  get #focused() {
    return /** @type {Document|ShadowRoot} */ (this.element.getRootNode()).activeElement ?? null;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    /** @type {Record<string, number>} */
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const shown = this.#shown;
    const current = shown.indexOf(/** @type {HTMLButtonElement} */ (this.#focused));
    const direction = getComputedStyle(this.element).direction === "rtl" ? -1 : 1;
    const next = shown.at((current + step * direction) % shown.length);
    for (const button of shown) button.tabIndex = button === next ? 0 : -1;
    next?.focus();
  }
}
