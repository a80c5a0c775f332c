// One conversation in the list: its title, what happens in it, how much is unread. Made once by list.js, then changed.

import { words } from "../i18n/strings.js";
import { el, followsHere, iconButton } from "../ui/dom.js";

export class Row {
  #on;
  #link;
  #title;
  #count;
  #counted;
  #meta;
  #more;
  #field = null;
  #names = new Map(); // who is typing: id -> {name, timer}

  /**
   * @param {string} href
   * @param {object} on
   * @param {() => void} on.open
   * @param {(button: HTMLElement) => void} on.menu
   * @param {(title: string) => void} on.rename
   */
  constructor(href, on) {
    this.#on = on;
    this.#title = el("span", { class: "title", dir: "auto" });
    this.#counted = el("span", { class: "unseen" });
    this.#count = el("span", { class: "count", hidden: true }, el("span", { "aria-hidden": "true" }), this.#counted);
    this.#meta = el("span", { class: "meta" });
    this.#link = el(
      "a",
      { href, onclick: (event) => followsHere(event) && on.open() },
      this.#title,
      this.#count,
      this.#meta,
    );
    this.#more = iconButton("more", null, {
      class: "bare more",
      "aria-haspopup": "menu",
      onclick: () => on.menu(this.#more),
    });
    this.element = el("li", { class: "row" }, this.#link, this.#more);
  }

  /** @param {object} conversation a Conversation of the protocol */
  update(conversation) {
    this.conversation = conversation;
    const { unread = 0 } = conversation.yours ?? {};
    const title = conversation.title || words.untitled;
    this.#title.textContent = title;
    this.#more.setAttribute("aria-label", words.actionsFor(title));
    this.#count.hidden = unread === 0;
    this.#count.firstChild.textContent = words.number(unread);
    this.#counted.textContent = words.unread(unread);
    this.#tell();
  }

  /** @param {{id: string, name: string}} person  @param {boolean} on */
  typing({ id, name }, on, lasts) {
    clearTimeout(this.#names.get(id)?.timer);
    this.#names.delete(id);
    if (on) this.#names.set(id, { name, timer: setTimeout(() => this.typing({ id }, false), lasts) });
    this.#tell();
  }

  set current(on) {
    if (on) this.#link.setAttribute("aria-current", "page");
    else this.#link.removeAttribute("aria-current");
  }

  /** Puts a field in the title's place until Enter or Escape. */
  rename() {
    if (this.#field) return this.#field.focus();
    const input = el("input", {
      "aria-label": words.title,
      maxlength: "200",
      dir: "auto",
      autocomplete: "off",
      onkeydown: (event) => event.key === "Escape" && this.#renamed(event, null),
      onblur: () => this.#renamed(null, null),
    });
    input.value = this.conversation.title;
    this.#field = el("form", { class: "rename", onsubmit: (event) => this.#renamed(event, input.value.trim()) }, input);
    this.#link.hidden = true;
    this.element.prepend(this.#field);
    input.focus();
    input.select();
  }

  #renamed(event, title) {
    if (!this.#field) return;
    event?.preventDefault();
    event?.stopPropagation();
    const field = this.#field;
    this.#field = null; // removing it blurs it
    field.remove();
    this.#link.hidden = false;
    if (event) this.#link.focus();
    if (title && title !== this.conversation.title) this.#on.rename(title);
  }

  #tell() {
    const { running, awaiting_approval, updated_at, agent } = this.conversation;
    const names = [...this.#names.values()].map(({ name }) => name);
    const busy = names.length > 0 || running;
    this.#meta.toggleAttribute("data-busy", busy);
    const goesOn = () => (awaiting_approval ? words.doing.asks : words.answering)(agent.name);
    this.#meta.textContent = names.length ? words.typing(names) : running ? goesOn() : words.when(updated_at);
  }
}
