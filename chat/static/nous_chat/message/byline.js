// Who wrote a message, and when. In a group of messages, only the first one shows the name. Used by message.js.

import { strings } from "../i18n/strings.js";
import { isMine } from "../protocol/permissions.js";
import { avatar, el, icon, textButton } from "../ui/dom.js";

/** @import { Message, You } from "../protocol/types.d.ts" */

export class Byline {
  #onHistory;
  /** @type {string|null} */
  #shown = null;

  /** @param {() => void} onHistory called to show the message's earlier texts */
  constructor(onHistory) {
    this.#onHistory = onHistory;
    this.element = el("header", { "data-part": "byline", dir: "auto" });
  }

  /** @param {Message} message  @param {You|null} you  @returns {string} the name */
  update(message, you) {
    const { role, author, run, created_at, edited_at, unsent } = message;
    const name = isMine(message, you) ? strings.you : nameOf(message);
    const shown = [name, (author ?? run?.agent)?.picture, run?.agent?.slug, created_at, edited_at, unsent].join();
    if (shown === this.#shown) return name;
    this.#shown = shown;
    const agent = run?.agent ?? { slug: "", name };
    const picture = avatar(role === "user" ? (author ?? you ?? { id: "", name }) : agent);
    const time =
      created_at && el("time", { datetime: created_at, title: strings.date(created_at) }, strings.time(created_at));
    const edited =
      edited_at && textButton(strings.edited, this.#onHistory, { class: "edited", title: strings.date(edited_at) });
    const waiting = unsent && el("span", { class: "unsent" }, icon("clock"), strings.unsent);
    const parts = [picture, el("span", { class: "name", translate: "no" }, name), edited, waiting || time];
    this.element.replaceChildren(...parts.filter((part) => part instanceof Node));
    return name;
  }
}

/** @param {Message} message */
function nameOf({ role, author, run }) {
  if (role === "user") return author?.name ?? strings.somebody;
  return role === "assistant" ? (run?.agent?.name ?? strings.assistant) : strings.system;
}
