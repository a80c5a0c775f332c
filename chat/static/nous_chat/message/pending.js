// Stands where an answer's text will stand until it begins: three dots, or the place in the queue. Called by message.js.

import { words } from "../i18n/strings.js";
import { isWriting } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";

export class Wait {
  #place;

  constructor() {
    this.#place = el("small");
    this.element = el(
      "div",
      { "data-part": "dots", hidden: true },
      el("span", { "aria-hidden": "true" }),
      el("span", { "aria-hidden": "true" }),
      el("span", { "aria-hidden": "true" }),
      this.#place,
    );
  }

  /** @param {object} message  @returns {boolean} does it wait? */
  progress({ text, thinking, calls, run }) {
    const waits = run !== null && isWriting(run) && text === "" && (thinking === "" || calls.length > 0);
    this.element.toggleAttribute("hidden", !waits);
    this.#place.textContent = waits && run.place ? words.place(run.place) : "";
    return waits;
  }
}
