// A field in the place of one's own message, to correct it; for the last one also to ask again with it. Made by
// message.js for as long as the message is being edited.

import { words } from "../i18n/strings.js";
import { el } from "../ui/dom.js";

export class Editor {
  #on;
  #text;
  #problem;
  #buttons;
  #before;
  #pending = false;

  /**
   * @param {string} text as it is
   * @param {boolean} last can the answers to it be made again?
   * @param {{save: (text: string, resend: boolean) => void, cancel: () => void}} on
   */
  constructor(text, last, on) {
    const button = (name, label, act) => el("button", { type: "button", class: name, onclick: act }, label);
    this.#on = on;
    this.#before = text;
    this.#text = el("textarea", {
      "aria-label": words.editMessage,
      dir: "auto",
      rows: Math.min(10, text.split("\n").length),
      onkeydown: (event) => this.#key(event),
    });
    this.#text.value = text;
    this.#problem = el("p", { class: "problem", role: "alert" });
    this.#buttons = [
      last ? button("approve", words.resend, () => this.#save(true)) : null,
      button(last ? "reject" : "approve", words.save, () => this.#save(false)),
      button("reject", words.cancel, on.cancel),
    ].filter(Boolean);
    this.element = el(
      "div",
      { class: "editor" },
      this.#text,
      this.#problem,
      el("div", { class: "controls" }, ...this.#buttons),
    );
  }

  focus() {
    this.#text.focus();
    this.#text.setSelectionRange(this.#text.value.length, this.#text.value.length);
  }

  /** It was refused. @param {string} sentence */
  complain(sentence) {
    this.#wait(false);
    this.#problem.textContent = sentence;
  }

  #key(event) {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape") {
      event.stopPropagation(); // it does not stop an answer
      this.#on.cancel();
    }
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#save(this.#buttons.length === 3);
    }
  }

  #save(resend) {
    const text = this.#text.value;
    if (this.#pending) return;
    if (text === this.#before && !resend) return this.#on.cancel();
    if (text.trim() === "") return this.complain(words.emptyEdit);
    this.#wait(true);
    this.#on.save(text, resend);
  }

  #wait(on) {
    this.#pending = on;
    this.#problem.textContent = "";
    this.#text.readOnly = on;
    for (const button of this.#buttons) button.setAttribute("aria-disabled", on);
  }
}
