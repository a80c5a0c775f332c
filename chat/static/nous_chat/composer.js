// Where a person writes. Keys, size and "is typing" are its own matter; what is to happen goes to the callbacks. Called
// by conversation.js.

import { el, icon, iconButton, quietButton } from "./dom.js";
import { Mention } from "./mention.js";
import { beginning, writerOf } from "./quote.js";
import { Uploads } from "./uploads.js";
import { words } from "./words.js";

const TYPING_ENDS = 3000;

export class Composer {
  #on; #text; #send; #stop; #attach; #field; #readOnly; #notice; #sentence; #answering; #during; #reply; #mention; #uploads;
  #running = null; // as in show()
  #wish = null; // what a message shall do to the answer that is being made, if the person has said so
  #answers = null; // the message that this one will answer
  #typing = false;
  #pause = 0;

  /**
   * @param {object} on
   * @param {(message: object) => void} on.send `{text, reply_to, attachments, mode}`
   * @param {() => void} on.stop
   * @param {() => boolean} on.editLast corrects one's last message; says whether there is one
   * @param {(text: string) => void} on.draft at each change of what stands there
   * @param {(on: boolean) => void} on.typing
   * @param {() => object[]} on.mentionable as in mention.js
   * @param {object} on.files as in uploads.js
   */
  constructor(on) {
    this.#on = on;
    this.#text = el("textarea", {
      rows: "1", "aria-label": words.message, enterkeyhint: "send", autocomplete: "off", dir: "auto",
      oninput: () => this.#changed(), onkeydown: (event) => this.#key(event), onblur: () => this.#idle(),
      onpaste: (event) => this.#take(event, event.clipboardData.files),
    });
    this.#mention = new Mention(this.#text, on.mentionable, () => this.#changed());
    this.#uploads = new Uploads(on.files, () => this.#buttons(), () => this.focus());
    const picker = el("input", { type: "file", multiple: true, hidden: true, onchange: () => this.#picked(picker) });
    this.#attach = iconButton("clip", words.attach, { class: "bare attach", onclick: () => picker.click() });
    this.#send = iconButton("send", words.send, { type: "submit", class: "round send" });
    this.#stop = iconButton("stop", words.stop, { class: "round stop", onclick: () => this.#halt() });
    this.#field = el("div", { class: "field" }, this.#attach, picker, this.#text, this.#stop, this.#send);
    this.#readOnly = el("p", { class: "readonly", hidden: true }, words.readOnly);
    this.#sentence = el("span");
    this.#notice = el("p", { class: "notice", hidden: true }, this.#sentence, iconButton("close", words.dismiss, { onclick: () => this.say(null) }));
    this.#answering = el("span", { dir: "auto" });
    this.#reply = el("p", { class: "replying", hidden: true }, icon("reply"), this.#answering,
      iconButton("close", words.noReply, { onclick: () => this.reply(null) }));
    this.#during = el("p", { class: "during", hidden: true }, el("span"),
      quietButton("", () => this.#turn()));
    this.element = el("form", { class: "composer", onsubmit: (event) => this.#submit(event) },
      this.#notice, this.#during, this.#reply, this.#uploads.element, this.#mention.element, this.#readOnly, this.#field);
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
   * @param {object} situation
   * @param {boolean} situation.writer a reader has no field
   * @param {boolean} situation.barred who is barred from the conversation keeps what he has written
   * @param {{stoppable: boolean, mode: "interrupt"|"queue", asked: (text: string) => boolean}|null} situation.running an answer
   *   is being made: may it be stopped, what does a message do to it, and which message asks for an answer itself?
   * @param {string} situation.placeholder
   */
  show({ writer, barred, running, placeholder }) {
    if (!running) this.#wish = null;
    this.#running = running;
    this.#readOnly.hidden = writer;
    this.#field.hidden = !writer || (barred && this.text === "");
    this.#text.readOnly = barred;
    this.#attach.hidden = barred;
    this.#text.placeholder = placeholder;
    this.#buttons();
  }

  /** The next message answers this one; null: it answers none. */
  reply(message) {
    this.#answers = message;
    this.#reply.hidden = message === null;
    if (message) this.#answering.textContent = words.replyingTo(writerOf(message), beginning(message));
    this.focus();
  }

  /** @param {FileList} files */
  attach(files) {
    this.#uploads.add(files);
    this.focus();
  }

  /** Gives a refused message back to its writer, before what he has written since. */
  giveBack({ text, answers, attachments }) {
    this.text = this.text.trim() ? `${text}\n${this.text}` : text;
    if (answers) this.reply(answers);
    this.#uploads.giveBack(attachments);
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

  get #empty() { return this.text.trim() === "" && this.#uploads.attachments.length === 0; }

  #buttons() {
    const running = this.#running;
    const stoppable = running?.stoppable ?? false;
    this.#stop.hidden = !stoppable;
    this.#send.hidden = stoppable && this.#empty;
    this.#send.disabled = this.#empty || this.#text.readOnly || this.#uploads.busy;
    this.#during.hidden = !running || this.#empty || !running.asked(this.text);
    const [what, instead] = (this.#wish ?? running?.mode) === "interrupt"
      ? [words.interrupts, words.queueInstead] : [words.queues, words.interruptInstead];
    this.#during.firstChild.textContent = what;
    this.#during.lastChild.textContent = instead;
    this.#during.lastChild.hidden = !stoppable;
  }

  /** The button goes when the answer has stopped; the focus stays in the composer. */
  #halt() {
    this.#on.stop();
    if (!matchMedia("(pointer: coarse)").matches) this.focus(); // on a phone that would bring up the keyboard
  }

  #turn() {
    this.#wish = (this.#wish ?? this.#running.mode) === "queue" ? "interrupt" : "queue";
    this.#buttons();
  }

  #key(event) {
    const composing = event.isComposing || event.keyCode === 229; // Safari ends a composition before its Enter
    if (composing || this.#mention.key(event)) return;
    if (event.key === "ArrowUp" && this.text === "" && this.#on.editLast()) event.preventDefault();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    this.element.requestSubmit();
  }

  #submit(event) {
    event.preventDefault();
    if (this.#text.readOnly || this.#empty || this.#uploads.busy) return;
    const message = {
      text: this.text, reply_to: this.#answers?.id ?? null, attachments: this.#uploads.attachments,
      mode: this.#wish,
    };
    this.#idle();
    this.text = "";
    this.#uploads.clear();
    if (this.#answers) this.reply(null);
    this.say(null);
    this.#on.draft("");
    this.#on.send(message);
  }

  #take(event, files) {
    if (files.length === 0 || this.#text.readOnly) return;
    event.preventDefault();
    this.attach(files);
  }

  #picked(picker) {
    this.attach([...picker.files]);
    picker.value = "";
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
