// The line above a message that answers another one: who wrote that, and how it began; leads there. Called by message.js.

import { words } from "../i18n/strings.js";
import { el, icon } from "../ui/dom.js";

const LENGTH = 140;

/** How a message begins, on one line. @param {object|null} message */
export function beginning(message) {
  if (!message) return words.earlierMessage;
  if (message.deleted_at) return words.deletedMessage;
  const text = message.text
    .slice(0, LENGTH * 2)
    .replace(/[*#_`>\s]+/g, " ")
    .trim();
  return text.slice(0, LENGTH) || message.attachments.map(({ name }) => name).join(", ");
}

/** Who wrote a message. */
export function writerOf(message) {
  return message?.author?.name ?? message?.run?.agent?.name ?? "";
}

export class Quote {
  #name;
  #text;

  /** @param {() => void} onOpen */
  constructor(onOpen) {
    this.#name = el("b");
    this.#text = el("span");
    this.element = el(
      "button",
      { type: "button", class: "quote", "data-part": "quote", dir: "auto", hidden: true, onclick: onOpen },
      icon("reply"),
      el("span", { class: "unseen" }, words.inReplyTo),
      this.#name,
      this.#text,
    );
  }

  /** @param {string|null} id  @param {object|null} message the one of that id, if it is loaded */
  update(id, message) {
    this.element.hidden = id === null;
    if (id === null) return;
    this.#name.textContent = writerOf(message);
    this.#text.textContent = beginning(message);
  }
}
