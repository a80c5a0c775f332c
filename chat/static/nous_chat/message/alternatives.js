// The switch between several answers to one message: "1 of 2" with an arrow on each side. Used by message.js.

import { strings } from "../i18n/strings.js";
import { el, iconButton } from "../ui/dom.js";

export class Alternatives {
  #count;
  #buttons;
  /** @type {string[]} */
  #ids = [];
  #current = 0;

  /** @param {(message: string) => void} onChoose */
  constructor(onChoose) {
    const arrow = (/** @type {"left"|"right"} */ name, /** @type {number} */ step, /** @type {string} */ label) =>
      iconButton(name, label, {
        class: "icon-button small",
        onclick: ({ currentTarget }) =>
          currentTarget.ariaDisabled !== "true" && onChoose(this.#ids[this.#current + step]),
      });
    this.#buttons = [arrow("left", -1, strings.previousAnswer), arrow("right", 1, strings.nextAnswer)];
    this.#count = el("span");
    this.element = el(
      "div",
      { class: "alternatives", role: "group", "aria-label": strings.alternatives, hidden: true },
      this.#buttons[0],
      this.#count,
      this.#buttons[1],
    );
  }

  /** @param {{id: string|null, alternatives: string[]}} message  @param {boolean} mayChoose */
  update({ id, alternatives }, mayChoose) {
    this.#ids = alternatives;
    this.#current = alternatives.indexOf(id ?? "");
    this.element.hidden = alternatives.length < 2;
    this.#count.textContent = strings.ofAlternatives(this.#current + 1, alternatives.length);
    // Not `disabled`, which would lose the focus.
    this.#buttons[0].ariaDisabled = String(!mayChoose || this.#current <= 0);
    this.#buttons[1].ariaDisabled = String(!mayChoose || this.#current >= alternatives.length - 1);
  }

  /** Focuses an arrow. @param {boolean} next the right one */
  focus(next) {
    this.#buttons[Number(next)].focus({ preventScroll: true });
  }
}
