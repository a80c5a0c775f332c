// Where the user writes. It handles the keyboard, the size of the field and the typing indicator itself; everything else
// goes to callbacks. Called by conversation.js.

import { strings } from "../i18n/strings.js";
import { authorName, excerptOf } from "../message/quote.js";
import { may } from "../protocol/permissions.js";
import { el, icon, iconButton, textButton } from "../ui/dom.js";
import { isTouch, sendsText } from "../ui/keyboard.js";
import { Mentions } from "./mentions.js";
import { Uploads } from "./uploads.js";

/** @import { Draft, Message, Mode } from "../protocol/types.d.ts" */

const TYPING_PAUSE = 3000; // ms without a key after which the user counts as no longer typing

/**
 * @typedef {object} Running the active run
 * @property {boolean} stoppable
 * @property {Mode} mode what a message does to it
 * @property {(text: string) => boolean} asksAgent returns true if a message with this text gets an answer
 */

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
  #quoted;
  #modeText;
  #modeButton;
  #modeNotice;
  #reply;
  #mentions;
  #uploads;
  /** @type {Running|null} */
  #running = null;
  /** @type {Mode|null} the mode that the user has chosen for this message */
  #mode = null;
  /** @type {string|null} id of the message that this one replies to */
  #replyTo = null;
  #typing = false;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #typingTimer;

  /**
   * @param {object} on
   * @param {(message: Draft & {mode: Mode|null}) => void} on.send
   * @param {() => void} on.stop
   * @param {() => boolean} on.editLast opens the user's last message for editing; returns false if there is none
   * @param {(message: Draft) => void} on.draft called at each change, with the message as it would be sent
   * @param {(id: string|null) => Message|null} on.message a loaded message by its id
   * @param {(on: boolean) => void} on.typing
   * @param {() => import("./mentions.js").Entry[]} on.mentionable
   * @param {import("./uploads.js").Files} on.files
   */
  constructor(on) {
    this.#on = on;
    this.#text = el("textarea", {
      rows: "1",
      "aria-label": strings.message,
      enterkeyhint: isTouch() ? "enter" : "send",
      autocomplete: "off",
      dir: "auto",
      oninput: () => this.#changed(),
      onkeydown: (event) => this.#key(event),
      onblur: () => this.#stopTyping(),
      onpaste: (event) => this.#paste(event),
    });
    this.#mentions = new Mentions(this.#text, on.mentionable, () => this.#changed());
    this.#uploads = new Uploads(
      on.files,
      () => this.#draftChanged(),
      () => this.focus(),
    );
    /** @type {HTMLInputElement} */
    const picker = el("input", { type: "file", multiple: true, hidden: true, onchange: () => this.#picked(picker) });
    this.#attach = iconButton("clip", strings.attach, { class: "icon-button attach", onclick: () => picker.click() });
    this.#send = iconButton("send", strings.send, { type: "submit", class: "round-button send" });
    this.#stop = iconButton("stop", strings.stop, {
      class: "round-button stop",
      onclick: () => {
        on.stop();
        this.keepFocus();
      },
    });
    this.#field = el("div", { class: "field" }, this.#attach, picker, this.#text, this.#stop, this.#send);
    this.#readOnly = el("p", { class: "readonly", hidden: true }, strings.readOnly);
    this.#sentence = el("span");
    this.#notice = el(
      "p",
      { class: "notice", hidden: true },
      this.#sentence,
      iconButton("close", strings.dismiss, { onclick: () => this.say(null) }),
    );
    this.#quoted = el("span", { dir: "auto" });
    this.#reply = el(
      "p",
      { class: "replying", hidden: true },
      icon("reply"),
      this.#quoted,
      iconButton("close", strings.noReply, { onclick: () => this.reply(null) }),
    );
    this.#modeText = el("span");
    this.#modeButton = textButton("", () => this.#toggleMode());
    this.#modeNotice = el("p", { class: "mode-notice", hidden: true }, this.#modeText, this.#modeButton);
    this.element = el(
      "form",
      {
        class: "composer",
        onsubmit: (event) => this.#submit(event),
      },
      this.#notice,
      this.#modeNotice,
      this.#reply,
      this.#uploads.element,
      this.#mentions.element,
      this.#readOnly,
      this.#field,
    );
    this.#updateButtons();
  }

  get text() {
    return this.#text.value;
  }

  set text(text) {
    this.#text.value = text;
    this.#fit();
    this.#updateButtons();
  }

  /** Puts a text in the place of what is written. @param {string} text */
  replace(text) {
    this.text = text;
    this.#draftChanged();
  }

  /**
   * While a run is active, Stop replaces Send; once there is text, both are shown.
   * @param {object} situation
   * @param {boolean} situation.mayPost viewers have no field
   * @param {boolean} situation.barred the user was removed; what they have written stays visible
   * @param {Running|null} situation.running
   * @param {string} situation.placeholder
   */
  show({ mayPost, barred, running, placeholder }) {
    if (!running) this.#mode = null;
    this.#running = running;
    this.#readOnly.hidden = mayPost;
    this.#field.hidden = !mayPost || (barred && this.text === "");
    this.#text.readOnly = barred;
    this.#attach.hidden = barred || !may.attach;
    this.#text.placeholder = placeholder;
    this.#showReply();
    this.#updateButtons();
  }

  /** @param {string|null} id of the message that the next one replies to; null for none */
  reply(id) {
    this.#setReply(id);
    this.#draftChanged();
    this.focus();
  }

  /** @param {Iterable<File>} files */
  attach(files) {
    this.#uploads.add(files);
    this.focus();
  }

  /** Puts a refused or unsent message back, before what has been written since. @param {Draft} message */
  giveBack({ text, reply_to, attachments }) {
    this.text = this.text.trim() ? `${text}\n${this.text}` : text;
    if (reply_to) this.#setReply(reply_to);
    this.#uploads.giveBack(attachments);
    this.#draftChanged();
  }

  /** Shows a sentence until it is dismissed; null removes it. @param {string|null} sentence */
  say(sentence) {
    this.#notice.hidden = sentence === null;
    this.#sentence.textContent = sentence ?? "";
  }

  /** @param {FocusOptions} [options] */
  focus(options) {
    this.#text.focus(options);
  }

  /** Takes the focus of a button that disappears, except on a phone, where that would open the keyboard. */
  keepFocus() {
    if (!isTouch()) this.focus();
  }

  /** True if nothing has been written, attached or quoted. */
  get untouched() {
    return this.text === "" && this.#replyTo === null && this.#uploads.empty;
  }

  get #empty() {
    return this.text.trim() === "" && this.#uploads.attachments.length === 0;
  }

  /** @returns {Draft} */
  get #message() {
    return { text: this.text, reply_to: this.#replyTo, attachments: this.#uploads.attachments };
  }

  /** @param {string|null} id */
  #setReply(id) {
    this.#replyTo = id;
    this.#showReply();
  }

  #showReply() {
    this.#reply.hidden = this.#replyTo === null;
    const message = this.#on.message(this.#replyTo);
    this.#quoted.textContent = strings.replyingTo(authorName(message), excerptOf(message));
  }

  #draftChanged() {
    this.#updateButtons();
    this.#on.draft(this.#message);
  }

  #updateButtons() {
    const running = this.#running;
    const stoppable = running?.stoppable ?? false;
    this.#stop.hidden = !stoppable;
    this.#send.hidden = stoppable && this.#empty;
    this.#send.disabled = this.#empty || this.#text.readOnly || this.#uploads.busy;
    this.#modeNotice.hidden = !running || this.#empty || !running.asksAgent(this.text);
    const interrupts = (this.#mode ?? running?.mode) === "interrupt";
    this.#modeText.textContent = interrupts ? strings.interrupts : strings.queues;
    this.#modeButton.textContent = interrupts ? strings.queueInstead : strings.interruptInstead;
    this.#modeButton.hidden = !stoppable;
  }

  #toggleMode() {
    this.#mode = (this.#mode ?? this.#running?.mode) === "queue" ? "interrupt" : "queue";
    this.#updateButtons();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (this.#mentions.key(event)) return;
    if (event.key === "ArrowUp" && this.text === "" && this.#on.editLast()) event.preventDefault();
    if (!sendsText(event)) return;
    event.preventDefault();
    this.element.requestSubmit();
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    event.preventDefault();
    if (this.#text.readOnly || this.#empty || this.#uploads.busy) return;
    const message = { ...this.#message, mode: this.#mode };
    this.#stopTyping();
    this.text = "";
    this.#setReply(null);
    this.#uploads.clear();
    this.say(null);
    this.#on.send(message);
  }

  /** Attaches pasted files. Excel and Word also copy a picture of their text, which is not meant. @param {ClipboardEvent} event */
  #paste(event) {
    const { clipboardData } = event;
    if (!clipboardData?.files.length || this.#text.readOnly || !may.attach) return;
    const formatted = clipboardData.types.some((type) => type === "text/html" || type === "text/rtf");
    if (formatted && clipboardData.getData("text/plain").trim()) return;
    event.preventDefault();
    this.attach(clipboardData.files);
  }

  /** @param {HTMLInputElement} picker */
  #picked(picker) {
    this.attach([...(picker.files ?? [])]);
    picker.value = "";
  }

  #changed() {
    this.#fit();
    this.#draftChanged();
    if (this.text.trim() === "") return this.#stopTyping();
    clearTimeout(this.#typingTimer);
    this.#typingTimer = setTimeout(() => this.#stopTyping(), TYPING_PAUSE);
    if (!this.#typing) this.#on.typing(true);
    this.#typing = true;
  }

  #stopTyping() {
    clearTimeout(this.#typingTimer);
    if (this.#typing) this.#on.typing(false);
    this.#typing = false;
  }

  /** Grows the field with its text, in browsers without `field-sizing`; the style sheet limits the height. */
  #fit() {
    if (CSS.supports("field-sizing", "content")) return;
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
  }
}
