// The column beside the conversation: a new one, the search, the list with what can be done to each, the theme. What the
// person does there becomes requests here; opening is the page's matter. Called by nous-chat.js.

import { words } from "../i18n/strings.js";
import { attempt } from "../protocol/api.js";
import { undoLeft } from "../protocol/permissions.js";
import { el, icon, iconButton } from "../ui/dom.js";
import { Menu } from "../ui/menu.js";
import { Appearance } from "../ui/theme-switch.js";
import { ConversationList } from "./conversation-list.js";
import { Search } from "./search.js";

export class Sidebar {
  #api;
  #on;
  #menu = new Menu();
  #appearance = new Appearance();
  #list;
  #search;

  /**
   * @param {object} options
   * @param {import("../protocol/api.js").Api} options.api
   * @param {(id: string, message?: string) => string} options.href
   * @param {object} on
   * @param {(id: string, message?: string) => void} on.open
   * @param {() => void} on.begin
   * @param {() => void} on.keys
   * @param {(id: string) => boolean} on.removed by this person, here; says whether it was open
   * @param {(sentence: string, undo?: () => void, lasts?: number) => void} on.done as in toast.js: what was done, or could not be
   * @param {(sentence: string) => void} on.say for screen readers
   */
  constructor({ api, href }, on) {
    this.#api = api;
    this.#on = on;
    this.#list = new ConversationList({
      href,
      open: on.open,
      menu: (conversation, button) => this.#menu.open(button, this.#actions(conversation)),
      rename: (id, title) => this.#change(id, { title }),
      earlier: (before) => this.#try(async () => this.#list.apply(await api.conversations(before))),
    });
    this.#search = new Search({
      ask: (query) => api.search(query),
      href,
      open: on.open,
      change: (searching) => (this.#list.element.hidden = searching),
      say: on.say,
    });
    const keys = iconButton("keyboard", words.keysTitle, { onclick: on.keys });
    this.element = el(
      "nav",
      { id: "conversations", popover: "auto", "aria-label": words.conversations },
      el("button", { type: "button", class: "new", onclick: on.begin }, icon("plus"), words.newConversation),
      this.#search.element,
      el("div", { class: "scroller" }, this.#search.found, this.#list.element),
      el("div", { class: "base" }, this.#appearance.element, keys),
      this.#menu.element,
    );
  }

  start() {
    this.#appearance.start();
  }

  stop() {
    this.#appearance.stop();
  }

  /** Folds an event of the inbox. */
  apply(event) {
    this.#list.apply(event);
  }

  get conversations() {
    return this.#list.conversations;
  }

  get unread() {
    return this.#list.unread;
  }

  set current(id) {
    this.#list.current = id;
  }

  #actions({ id, yours }) {
    const { pinned, archived, role } = yours;
    const change = (name, text, fields) => ({ icon: name, text, run: () => this.#change(id, fields) });
    return [
      change("pin", pinned ? words.unpin : words.pin, { pinned: !pinned }),
      ...(role === "owner" ? [{ icon: "edit", text: words.rename, run: () => this.#list.rename(id) }] : []),
      change("archive", archived ? words.unarchive : words.archive, { archived: !archived }),
      ...(role === "owner" ? [{ icon: "remove", text: words.delete, bad: true, run: () => this.#remove(id) }] : []),
    ];
  }

  async #change(id, fields) {
    await this.#try(async () => {
      this.#list.apply({ type: "conversation.updated", conversation: await this.#api.changeConversation(id, fields) });
      if (fields.archived) this.#on.done(words.wasArchived, () => this.#change(id, { archived: false }));
    });
  }

  async #remove(id) {
    await this.#try(async () => {
      await this.#api.deleteConversation(id);
      this.#list.apply({ type: "conversation.removed", conversation: id });
      const open = this.#on.removed(id);
      this.#on.done(words.wasDeleted, () => this.#restore(id, open), undoLeft());
    });
  }

  async #restore(id, open) {
    await this.#try(async () => {
      this.#list.apply({ type: "conversation.updated", conversation: await this.#api.restoreConversation(id) });
      if (open) this.#on.open(id);
    });
  }

  #try(work) {
    return attempt(work, (reason) => this.#on.done(reason));
  }
}
