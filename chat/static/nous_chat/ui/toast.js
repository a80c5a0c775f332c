// A short notice of what was done, with a button to undo it. It disappears by itself, but not while the pointer or the
// focus is on it. Used by nous-chat.js.

import { strings } from "../i18n/strings.js";
import { el, iconButton, textButton } from "./dom.js";

const DURATION = 20_000; // ms; the least that WCAG 2.2 (2.2.1) accepts

export class Toast {
  #text;
  #undo;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #deadline;
  /** @type {(() => void)|null} */
  #run = null;

  constructor() {
    this.#text = el("span", { dir: "auto" });
    this.#undo = textButton(strings.undo, () => this.#undone());
    const close = iconButton("close", strings.dismiss, { onclick: () => this.hide() });
    const pause = () => clearTimeout(this.#timer);
    const resume = () => this.#wait();
    // Only the sentence is announced; the buttons are found next to it.
    this.element = el(
      "div",
      {
        class: "toast",
        popover: "manual",
        onpointerenter: pause,
        onfocusin: pause,
        onpointerleave: resume,
        onfocusout: resume,
      },
      this.#text,
      this.#undo,
      close,
    );
  }

  /**
   * @param {string} sentence
   * @param {(() => void)|null} [undo]
   * @param {number|null} [undoTime] ms; after it the toast goes in any case
   */
  show(sentence, undo = null, undoTime = null) {
    this.#text.textContent = sentence;
    this.#run = undo;
    this.#undo.hidden = undo === null;
    this.element.showPopover();
    this.#wait();
    clearTimeout(this.#deadline);
    if (undoTime !== null) this.#deadline = setTimeout(() => this.hide(), undoTime);
  }

  hide() {
    clearTimeout(this.#timer);
    clearTimeout(this.#deadline);
    this.element.hidePopover();
    this.#run = null;
  }

  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.hide(), DURATION);
  }

  #undone() {
    const run = this.#run;
    this.hide();
    run?.();
  }
}
