// One conversation in the list: its title, what is going on in it, and how much is unread. Used by conversation-list.js.

import { strings } from "../i18n/strings.js";
import { TYPING_EXPIRES } from "../protocol/reducer.js";
import { el, iconButton, opensHere } from "../ui/dom.js";

/** @import { Conversation, Person, Yours } from "../protocol/types.d.ts" */

export class ConversationRow {
  #on;
  #link;
  #title;
  #count;
  #number;
  #unread;
  #meta;
  #more;
  /** @type {HTMLFormElement|null} */
  #form = null;
  /** @type {Map<string, {name: string, timer: ReturnType<typeof setTimeout>}>} who is typing, by user id */
  #typing = new Map();

  /**
   * @param {string} href
   * @param {Conversation & {yours: Yours}} conversation
   * @param {object} on
   * @param {() => void} on.open
   * @param {(button: HTMLElement) => void} on.menu
   * @param {(title: string) => void} on.rename
   */
  constructor(href, conversation, on) {
    this.#on = on;
    this.#title = el("span", { class: "title", dir: "auto" });
    this.#number = el("span", { "aria-hidden": "true" });
    this.#unread = el("span", { class: "visually-hidden" });
    this.#count = el("span", { class: "count", hidden: true }, this.#number, this.#unread);
    this.#meta = el("span", { class: "meta" });
    this.#link = el(
      "a",
      { href, onclick: (event) => opensHere(event) && on.open() },
      this.#title,
      this.#count,
      this.#meta,
    );
    this.#more = iconButton("more", null, {
      class: "icon-button more",
      "aria-haspopup": "menu",
      onclick: () => on.menu(this.#more),
    });
    this.element = el("li", { class: "row" }, this.#link, this.#more);
    this.conversation = conversation;
    this.update(conversation);
  }

  /** @param {Conversation & {yours: Yours}} conversation */
  update(conversation) {
    this.conversation = conversation;
    const { unread } = conversation.yours;
    const title = conversation.title || strings.untitled;
    this.#title.textContent = title;
    this.#more.setAttribute("aria-label", strings.actionsFor(title));
    this.#count.hidden = unread === 0;
    this.#number.textContent = strings.number(unread);
    this.#unread.textContent = strings.unread(unread);
    this.#showMeta();
  }

  /** @param {Person} person  @param {boolean} on */
  typing({ id, name }, on) {
    clearTimeout(this.#typing.get(id)?.timer);
    this.#typing.delete(id);
    if (on) this.#typing.set(id, { name, timer: setTimeout(() => this.typing({ id, name }, false), TYPING_EXPIRES) });
    this.#showMeta();
  }

  set current(/** @type {boolean} */ on) {
    if (on) this.#link.setAttribute("aria-current", "page");
    else this.#link.removeAttribute("aria-current");
  }

  /** Replaces the title with a field, until Enter or Escape. */
  rename() {
    if (this.#form) return this.#form.querySelector("input")?.focus();
    const input = el("input", {
      "aria-label": strings.title,
      maxlength: "200",
      dir: "auto",
      autocomplete: "off",
      onkeydown: (event) => event.key === "Escape" && this.#renamed(event, null),
      onblur: () => this.#renamed(null, null),
    });
    input.value = this.conversation.title;
    this.#form = el(
      "form",
      {
        class: "rename",
        onsubmit: (event) => this.#renamed(event, input.value.trim()),
      },
      input,
    );
    this.#link.hidden = true;
    this.element.prepend(this.#form);
    input.focus();
    input.select();
  }

  /** @param {Event|null} event  @param {string|null} title null to keep it */
  #renamed(event, title) {
    if (!this.#form) return;
    event?.preventDefault();
    event?.stopPropagation();
    const form = this.#form;
    this.#form = null; // first, because removing the form blurs the field, which calls this again
    form.remove();
    this.#link.hidden = false;
    if (event) this.#link.focus();
    if (title && title !== this.conversation.title) this.#on.rename(title);
  }

  #showMeta() {
    const { running, answering, awaiting_approval, updated_at, agent } = this.conversation;
    const names = [...this.#typing.values()].map(({ name }) => name);
    this.#meta.toggleAttribute("data-busy", names.length > 0 || running);
    let text = strings.when(updated_at);
    const name = (answering ?? agent)?.name;
    if (running) text = awaiting_approval ? strings.doing.asks(name) : strings.answering(name);
    if (names.length) text = strings.typing(names);
    this.#meta.textContent = text;
  }
}
