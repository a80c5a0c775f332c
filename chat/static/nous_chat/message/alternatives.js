// "1/2" with an arrow on each side, under an answer that was made more than once. Called by message.js.

import { words } from "../i18n/strings.js";
import { el, iconButton } from "../ui/dom.js";

export class Alternatives {
  #count;
  #buttons;
  #ids = [];
  #at = 0;

  /** @param {(message: string) => void} onChoose */
  constructor(onChoose) {
    const arrow = (name, step, label) =>
      iconButton(name, label, {
        class: "bare small",
        onclick: (event) => event.currentTarget.ariaDisabled !== "true" && onChoose(this.#ids[this.#at + step]),
      });
    this.#buttons = [arrow("left", -1, words.previousAnswer), arrow("right", 1, words.nextAnswer)];
    this.#count = el("span");
    this.element = el(
      "div",
      { class: "alternatives", role: "group", "aria-label": words.alternatives, hidden: true },
      this.#buttons[0],
      this.#count,
      this.#buttons[1],
    );
  }

  /** @param {object} message  @param {boolean} writer may the reader choose? */
  update({ id, alternatives }, writer) {
    this.#ids = alternatives;
    this.#at = alternatives.indexOf(id);
    this.element.hidden = alternatives.length < 2;
    this.#count.textContent = words.ofAlternatives(this.#at + 1, alternatives.length);
    // Not `disabled`: that would take the focus away.
    this.#buttons[0].ariaDisabled = String(!writer || this.#at <= 0);
    this.#buttons[1].ariaDisabled = String(!writer || this.#at >= alternatives.length - 1);
  }

  /** @param {boolean} next the arrow to the next one, or to the one before */
  focus(next) {
    this.#buttons[Number(next)].focus({ preventScroll: true });
  }
}
