// Where a person writes. Keys, size, the draft and "is typing" are its own matter; what is to happen goes to the
// callbacks. Called by conversation.js.

import { el, icon } from "./dom.js";
import { words } from "./words.js";

const TYPING_ENDS = 3000;

export class Composer {
  #on; #text; #send; #stop; #notice; #notes;
  #active = false;
  #typing = false;
  #pause = 0;

  /**
   * @param {object} on
   * @param {(text: string) => void} on.send
   * @param {() => void} on.stop
   * @param {(text: string) => void} on.draft at each change of what stands there
   * @param {(on: boolean) => void} on.typing
   */
  constructor(on) {
    this.#on = on;
    this.#text = el("textarea", {
      rows: "1", "aria-label": words.message, enterkeyhint: "send", autocomplete: "off",
      oninput: () => this.#changed(), onkeydown: (event) => this.#key(event), onblur: () => this.#idle(),
    });
    this.#send = el("button", { class: "round send", "aria-label": words.send, title: words.send }, icon("send"));
    this.#stop = el("button", { type: "button", class: "round stop", "aria-label": words.stop, title: words.stop,
      onclick: () => this.#on.stop() }, icon("stop"));
    this.#notes = el("span");
    this.#notice = el("p", { class: "notice", hidden: true }, this.#notes,
      el("button", { type: "button", class: "bare", "aria-label": words.dismiss, onclick: () => this.say(null) }, icon("close")));
    this.element = el("form", { class: "composer", onsubmit: (event) => this.#submit(event) },
      this.#notice, el("div", { class: "field" }, this.#text, this.#stop, this.#send));
    this.running(false);
  }

  get text() { return this.#text.value; }

  set text(text) {
    this.#text.value = text;
    this.#fit();
    this.#buttons();
  }

  /** Gives a refused message back to its writer, before what he has written since. */
  giveBack(text) {
    this.text = this.text.trim() ? `${text}\n${this.text}` : text;
    this.#on.draft(this.text);
  }

  /** While an answer is being made, Stop stands in the place of Send; written text brings Send back beside it. */
  running(active) {
    this.#active = active;
    this.#buttons();
  }

  address(agent) {
    this.#text.placeholder = words.placeholder(agent);
  }

  /** @param {boolean} on may this person write here? What he has written stays either way. */
  enable(on) {
    this.#text.readOnly = !on;
    this.element.toggleAttribute("data-disabled", !on);
    this.#buttons();
  }

  /** Shows a sentence until it is dismissed; null takes it away. */
  say(sentence) {
    this.#notice.hidden = sentence === null;
    this.#notes.textContent = sentence ?? "";
  }

  focus() {
    this.#text.focus();
  }

  #buttons() {
    const empty = this.text.trim() === "";
    this.#stop.hidden = !this.#active;
    this.#send.hidden = this.#active && empty;
    this.#send.disabled = empty || this.#text.readOnly;
  }

  #key(event) {
    const composing = event.isComposing || event.keyCode === 229; // Safari ends a composition before its Enter
    if (event.key !== "Enter" || event.shiftKey || composing) return;
    event.preventDefault();
    this.element.requestSubmit();
  }

  #submit(event) {
    event.preventDefault();
    const text = this.text;
    if (this.#text.readOnly || text.trim() === "") return;
    this.#idle();
    this.text = "";
    this.say(null);
    this.#on.draft("");
    this.#on.send(text);
  }

  #changed() {
    this.#fit();
    this.#buttons();
    this.#on.draft(this.text);
    if (this.text.trim() === "") return this.#idle();
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#idle(), TYPING_ENDS);
    if (!this.#typing) this.#on.typing(true);
    this.#typing = true;
  }

  #idle() {
    clearTimeout(this.#pause);
    if (this.#typing) this.#on.typing(false);
    this.#typing = false;
  }

  /** As high as its text; the style sheet says where it ends, and does it all where `field-sizing` is known. */
  #fit() {
    if (CSS.supports("field-sizing", "content")) return;
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
  }
}
