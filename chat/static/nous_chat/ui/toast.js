// A sentence that tells what was done, with one way to undo it. It goes by itself, but not while it is looked at or in use.
// Used by nous-chat.js.

import { words } from "../i18n/strings.js";
import { el, iconButton, quietButton } from "./dom.js";

const LASTS = 20_000; // ms; the least that WCAG 2.2 (2.2.1) holds to be enough

export class Toast {
  #text;
  #undo;
  #timer = 0;
  #end = 0;
  #run = null;

  constructor() {
    this.#text = el("span", { dir: "auto" });
    this.#undo = quietButton(words.undo, () => this.#undone());
    const close = iconButton("close", words.dismiss, { onclick: () => this.hide() });
    const wait = () => clearTimeout(this.#timer);
    const go = () => this.#wait();
    // Only the sentence is read out; what can be done about it is found beside it.
    this.element = el(
      "div",
      { class: "toast", popover: "manual", onpointerenter: wait, onfocusin: wait, onpointerleave: go, onfocusout: go },
      this.#text,
      this.#undo,
      close,
    );
  }

  /** @param {string} sentence  @param {(() => void)|null} undo  @param {number} [lasts] how long that can be undone, in ms */
  show(sentence, undo = null, lasts = null) {
    this.#text.textContent = sentence;
    this.#run = undo;
    this.#undo.hidden = undo === null;
    this.element.showPopover();
    this.#wait();
    clearTimeout(this.#end);
    if (lasts !== null) this.#end = setTimeout(() => this.hide(), lasts);
  }

  hide() {
    clearTimeout(this.#timer);
    clearTimeout(this.#end);
    this.element.hidePopover();
    this.#run = null;
  }

  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.hide(), LASTS);
  }

  #undone() {
    const run = this.#run;
    this.hide();
    run?.();
  }
}
