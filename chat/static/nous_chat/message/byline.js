// Who wrote a message, and when: the head of a message, of which a group shows the first. Called by message.js.

import { words } from "../i18n/strings.js";
import { isMine } from "../protocol/permissions.js";
import { avatar, el, icon } from "../ui/dom.js";

export class Signature {
  #onVersions;
  #shown = null;

  /** @param {() => void} onVersions what did it say before? */
  constructor(onVersions) {
    this.#onVersions = onVersions;
    this.element = el("header", { "data-part": "by", dir: "auto" });
  }

  /** @param {object} message  @param {object|null} you  @returns {string} the name */
  update(message, you) {
    const { role, author, run, created_at, edited_at, unsent } = message;
    const mine = isMine(message, you);
    const name = mine
      ? words.you
      : {
          user: author?.name ?? words.somebody,
          assistant: run?.agent?.name ?? words.assistant,
          system: words.system,
        }[role];
    const shown = [name, created_at, edited_at, unsent].join();
    if (shown === this.#shown) return name;
    this.#shown = shown;
    const mark =
      role === "user"
        ? avatar(author ?? you ?? { id: "", name })
        : el("span", { class: "avatar agent" }, icon("spark"));
    const time =
      created_at && el("time", { datetime: created_at, title: words.date(created_at) }, words.time(created_at));
    const edited =
      edited_at &&
      el(
        "button",
        { type: "button", class: "edited", title: words.date(edited_at), onclick: this.#onVersions },
        words.edited,
      );
    const waits = unsent ? el("span", { class: "unsent" }, icon("clock"), words.unsent) : null;
    this.element.replaceChildren(...[mark, el("span", { class: "name" }, name), edited, waits ?? time].filter(Boolean));
    return name;
  }
}
