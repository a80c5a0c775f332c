// Where a person writes. Keys, size and "is typing" are its own matter; what is to happen goes to the callbacks. Called
// by conversation.js.

import { el, icon } from "./dom.js";
import { words } from "./words.js";

const TYPING_ENDS = 3000;

export class Composer {
  #on; #text; #send; #stop; #field; #readOnly; #notice; #sentence;
  #running = false;
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
    const button = (name, attributes) =>
      el("button", { class: `round ${name}`, "aria-label": words[name], title: words[name], ...attributes }, icon(name));
    this.#on = on;
    this.#text = el("textarea", {
      rows: "1", "aria-label": words.message, enterkeyhint: "send", autocomplete: "off", dir: "auto",
      oninput: () => this.#changed(), onkeydown: (event) => this.#key(event), onblur: () => this.#idle(),
    });
    this.#send = button("send");
    this.#stop = button("stop", { type: "button", onclick: () => this.#on.stop() });
    this.#field = el("div", { class: "field" }, this.#text, this.#stop, this.#send);
    this.#readOnly = el("p", { class: "readonly", hidden: true }, words.readOnly);
    this.#sentence = el("span");
    this.#notice = el("p", { class: "notice", hidden: true }, this.#sentence,
      el("button", { type: "button", class: "bare", "aria-label": words.dismiss, onclick: () => this.say(null) }, icon("close")));
    this.element = el("form", { class: "composer", onsubmit: (event) => this.#submit(event) },
      this.#notice, this.#readOnly, this.#field);
    this.#buttons();
  }

  get text() { return this.#text.value; }

  set text(text) {
    this.#text.value = text;
    this.#fit();
    this.#buttons();
  }

  /**
   * While an answer is being made, Stop stands in the place of Send; written text brings Send back beside it.
   * @param {{writer: boolean, barred: boolean, running: boolean, agent: string}} situation a reader has no field; who is
   *   barred from the conversation keeps what he has written
   */
  show({ writer, barred, running, agent }) {
    this.#running = running;
    this.#readOnly.hidden = writer;
    this.#field.hidden = !writer || (barred && this.text === "");
    this.#text.readOnly = barred;
    this.#text.placeholder = words.placeholder(agent);
    this.#buttons();
  }

  /** Gives a refused message back to its writer, before what he has written since. */
  giveBack(text) {
    this.text = this.text.trim() ? `${text}\n${this.text}` : text;
    this.#on.draft(this.text);
  }

  /** Shows a sentence until it is dismissed; null takes it away. */
  say(sentence) {
    this.#notice.hidden = sentence === null;
    this.#sentence.textContent = sentence ?? "";
  }

  focus() {
    this.#text.focus();
  }

  #buttons() {
    const empty = this.text.trim() === "";
    this.#stop.hidden = !this.#running;
    this.#send.hidden = this.#running && empty;
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
