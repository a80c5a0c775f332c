// Where a person writes. Keys, size and "is typing" are its own matter; what is to happen goes to the callbacks. Called
// by conversation.js.

import { words } from "../i18n/strings.js";
import { beginning, writerOf } from "../message/quote.js";
import { el, icon, iconButton, quietButton } from "../ui/dom.js";
import { Mention } from "./mentions.js";
import { Uploads } from "./uploads.js";

const TYPING_ENDS = 3000;

export class Composer {
  #on;
  #text;
  #send;
  #stop;
  #attach;
  #field;
  #readOnly;
  #notice;
  #sentence;
  #answering;
  #during;
  #reply;
  #mention;
  #uploads;
  #running = null; // as in show()
  #wish = null; // what a message shall do to the answer that is being made, if the person has said so
  #answers = null; // id of the message that this one will answer
  #typing = false;
  #pause = 0;

  /**
   * @param {object} on
   * @param {(message: object) => void} on.send as in requests.js
   * @param {() => void} on.stop
   * @param {() => boolean} on.editLast corrects one's last message; says whether there is one
   * @param {(message: object) => void} on.draft at each change of what stands there: the message, as it would be sent
   * @param {(id: string) => object|null} on.message the message of that id, if it is loaded
   * @param {(on: boolean) => void} on.typing
   * @param {() => object[]} on.mentionable as in mention.js
   * @param {object} on.files as in uploads.js
   */
  constructor(on) {
    this.#on = on;
    this.#text = el("textarea", {
      rows: "1",
      "aria-label": words.message,
      enterkeyhint: "send",
      autocomplete: "off",
      dir: "auto",
      oninput: () => this.#changed(),
      onkeydown: (event) => this.#key(event),
      onblur: () => this.#idle(),
      onpaste: (event) => this.#take(event, event.clipboardData.files),
    });
    this.#mention = new Mention(this.#text, on.mentionable, () => this.#changed());
    this.#uploads = new Uploads(
      on.files,
      () => this.#altered(),
      () => this.focus(),
    );
    const picker = el("input", { type: "file", multiple: true, hidden: true, onchange: () => this.#picked(picker) });
    this.#attach = iconButton("clip", words.attach, { class: "bare attach", onclick: () => picker.click() });
    this.#send = iconButton("send", words.send, { type: "submit", class: "round send" });
    this.#stop = iconButton("stop", words.stop, {
      class: "round stop",
      onclick: () => {
        on.stop();
        this.stay();
      },
    });
    this.#field = el("div", { class: "field" }, this.#attach, picker, this.#text, this.#stop, this.#send);
    this.#readOnly = el("p", { class: "readonly", hidden: true }, words.readOnly);
    this.#sentence = el("span");
    this.#notice = el(
      "p",
      { class: "notice", hidden: true },
      this.#sentence,
      iconButton("close", words.dismiss, { onclick: () => this.say(null) }),
    );
    this.#answering = el("span", { dir: "auto" });
    this.#reply = el(
      "p",
      { class: "replying", hidden: true },
      icon("reply"),
      this.#answering,
      iconButton("close", words.noReply, { onclick: () => this.reply(null) }),
    );
    this.#during = el(
      "p",
      { class: "during", hidden: true },
      el("span"),
      quietButton("", () => this.#turn()),
    );
    this.element = el(
      "form",
      { class: "composer", onsubmit: (event) => this.#submit(event) },
      this.#notice,
      this.#during,
      this.#reply,
      this.#uploads.element,
      this.#mention.element,
      this.#readOnly,
      this.#field,
    );
    this.#buttons();
  }

  get text() {
    return this.#text.value;
  }

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
    this.#quote();
    this.#buttons();
  }

  /** The next message answers that one; null: it answers none. @param {string|null} id */
  reply(id) {
    this.#answer(id);
    this.#altered();
    this.focus();
  }

  /** @param {FileList} files */
  attach(files) {
    this.#uploads.add(files);
    this.focus();
  }

  /** Gives a message that was refused, or not sent yet, back to its writer, before what he has written since. */
  giveBack({ text, reply_to, attachments }) {
    this.text = this.text.trim() ? `${text}\n${this.text}` : text;
    if (reply_to) this.#answer(reply_to);
    this.#uploads.giveBack(attachments);
    this.#altered();
  }

  /** Shows a sentence until it is dismissed; null takes it away. */
  say(sentence) {
    this.#notice.hidden = sentence === null;
    this.#sentence.textContent = sentence ?? "";
  }

  focus() {
    this.#text.focus();
  }

  /** The button that was pressed goes; the focus stays here. */
  stay() {
    if (!matchMedia("(pointer: coarse)").matches) this.focus(); // on a phone that would bring up the keyboard
  }

  /** Has nothing been written, chosen or attached? */
  get untouched() {
    return this.text === "" && this.#answers === null && this.#uploads.empty;
  }

  get #empty() {
    return this.text.trim() === "" && this.#uploads.attachments.length === 0;
  }

  get #message() {
    return { text: this.text, reply_to: this.#answers, attachments: this.#uploads.attachments };
  }

  #answer(id) {
    this.#answers = id;
    this.#quote();
  }

  #quote() {
    this.#reply.hidden = this.#answers === null;
    const message = this.#on.message(this.#answers);
    this.#answering.textContent = words.replyingTo(writerOf(message), beginning(message));
  }

  #altered() {
    this.#buttons();
    this.#on.draft(this.#message);
  }

  #buttons() {
    const running = this.#running;
    const stoppable = running?.stoppable ?? false;
    this.#stop.hidden = !stoppable;
    this.#send.hidden = stoppable && this.#empty;
    this.#send.disabled = this.#empty || this.#text.readOnly || this.#uploads.busy;
    this.#during.hidden = !running || this.#empty || !running.asked(this.text);
    const [what, instead] =
      (this.#wish ?? running?.mode) === "interrupt"
        ? [words.interrupts, words.queueInstead]
        : [words.queues, words.interruptInstead];
    this.#during.firstChild.textContent = what;
    this.#during.lastChild.textContent = instead;
    this.#during.lastChild.hidden = !stoppable;
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
    const message = { ...this.#message, mode: this.#wish };
    this.#idle();
    this.text = "";
    this.#answer(null);
    this.#uploads.clear();
    this.say(null);
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
    this.#altered();
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
