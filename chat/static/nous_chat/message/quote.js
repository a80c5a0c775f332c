// The line above a reply: who wrote the original message, and how it begins. A click goes there. Used by message.js.

import { cut } from "../i18n/graphemes.js";
import { strings } from "../i18n/strings.js";
import { el, icon } from "../ui/dom.js";

/** @import { Message } from "../protocol/types.d.ts" */

const LENGTH = 140;

/** The beginning of a message on one line. @param {Message|null} message null if it is not loaded */
export function excerptOf(message) {
  if (!message) return strings.earlierMessage;
  if (message.deleted_at) return strings.deletedMessage;
  const text = message.text
    .slice(0, LENGTH * 2)
    .replace(/[*#_`>\s]+/g, " ")
    .trim();
  return cut(text, LENGTH) || message.attachments.map(({ name }) => name).join(", ");
}

/** @param {Message|null} message */
export function authorName(message) {
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
      {
        type: "button",
        class: "quote",
        "data-part": "quote",
        dir: "auto",
        hidden: true,
        onclick: onOpen,
      },
      icon("reply"),
      el("span", { class: "visually-hidden" }, strings.inReplyTo),
      this.#name,
      this.#text,
    );
  }

  /** @param {string|null} id of the original message  @param {Message|null} message if it is loaded */
  update(id, message) {
    this.element.hidden = id === null;
    if (id === null) return;
    this.#name.textContent = authorName(message);
    this.#text.textContent = excerptOf(message);
  }
}
