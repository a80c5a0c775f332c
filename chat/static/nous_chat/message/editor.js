// The field that replaces the user's own message while it is being edited. If it is the last question and nothing is
// being answered, the agent can be asked again with the new text. Used by message.js.

import { strings } from "../i18n/strings.js";
import { el, textButton } from "../ui/dom.js";
import { sendsText } from "../ui/keyboard.js";

export class Editor {
  #on;
  #text;
  #problem;
  #buttons;
  #resend;
  #save;
  #before;
  #pending = false;

  /**
   * @param {string} text
   * @param {{save: (text: string, resend: boolean) => void, cancel: () => void}} on
   */
  constructor(text, on) {
    this.#on = on;
    this.#before = text;
    this.#text = el("textarea", {
      "aria-label": strings.editMessage,
      dir: "auto",
      rows: Math.min(10, text.split("\n").length),
      onkeydown: (event) => this.#key(event),
    });
    this.#text.value = text;
    this.#problem = el("p", { class: "problem", role: "alert" });
    this.#resend = textButton(strings.resend, () => this.#submit(true), { class: "approve" });
    this.#save = textButton(strings.save, () => this.#submit(false));
    this.#buttons = [this.#resend, this.#save, textButton(strings.cancel, on.cancel, { class: "reject" })];
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

  /** @param {boolean} on true if the agent can be asked again now */
  offerResend(on) {
    if (!on && this.#resend.matches(":focus")) this.#text.focus();
    this.#resend.hidden = !on;
    this.#save.className = on ? "reject" : "approve";
  }

  /** Shows why the change was refused. @param {string} sentence */
  complain(sentence) {
    this.#setPending(false);
    this.#problem.textContent = sentence;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape") {
      event.stopPropagation(); // this Escape does not stop an answer
      this.#on.cancel();
    }
    if (sendsText(event)) {
      event.preventDefault();
      this.#submit(!this.#resend.hidden);
    }
  }

  /** @param {boolean} resend */
  #submit(resend) {
    const text = this.#text.value;
    if (this.#pending) return;
    if (text === this.#before && !resend) return this.#on.cancel();
    if (text.trim() === "") return this.complain(strings.emptyEdit);
    this.#setPending(true);
    this.#on.save(text, resend);
  }

  /** @param {boolean} on */
  #setPending(on) {
    this.#pending = on;
    this.#problem.textContent = "";
    this.#text.readOnly = on;
    for (const button of this.#buttons) button.setAttribute("aria-disabled", String(on));
  }
}
