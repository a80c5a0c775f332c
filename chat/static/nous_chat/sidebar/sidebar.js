// The sidebar: a button for a new conversation, the search, the list of conversations with a menu for each, and the theme.
// What the user does becomes HTTP requests here; nous-chat.js opens conversations.

import { strings } from "../i18n/strings.js";
import { attempt } from "../protocol/api.js";
import { may, undoTimeLeft } from "../protocol/permissions.js";
import { el, icon, iconButton } from "../ui/dom.js";
import { Menu } from "../ui/menu.js";
import { ThemeSwitch } from "../ui/theme-switch.js";
import { ConversationList } from "./conversation-list.js";
import { Search } from "./search.js";

/**
 * @import { Conversation, Place, Yours } from "../protocol/types.d.ts"
 * @import { MenuItem } from "../ui/menu.js"
 */

export class Sidebar {
  #api;
  #on;
  #list;
  #search;
  #menu = new Menu();
  #theme = new ThemeSwitch();

  /**
   * @param {object} options
   * @param {import("../protocol/api.js").Api} options.api
   * @param {(id: string, place?: Place) => string} options.href
   * @param {string} options.tokens URL of the page with the user's API tokens
   * @param {object} on
   * @param {(id: string, place?: Place, words?: string[]) => void} on.open
   * @param {() => void} on.create
   * @param {() => void} on.showShortcuts
   * @param {(id: string) => boolean} on.deleted called when the user has deleted a conversation; returns true if it was open
   * @param {(sentence: string, undo?: () => void, undoTime?: number) => void} on.notify as in toast.js: what was done, or
   *   why it was refused
   * @param {(sentence: string) => void} on.say for screen readers
   */
  constructor({ api, href, tokens }, on) {
    this.#api = api;
    this.#on = on;
    this.#list = new ConversationList({
      href,
      open: on.open,
      menu: (conversation, button) => this.#menu.open(button, this.#actions(conversation)),
      rename: (id, title) => this.#change(id, { title }),
      earlier: (before) => this.#attempt(async () => this.#list.apply(await api.conversations(before))),
    });
    this.#search = new Search({
      search: (query) => api.search(query),
      href,
      open: on.open,
      change: (searching) => (this.#list.element.hidden = searching),
      say: on.say,
    });
    const shortcuts = iconButton("keyboard", strings.shortcutsTitle, { onclick: on.showShortcuts });
    const labels = { "aria-label": strings.apiTokens, title: strings.apiTokens };
    const tokenLink = el("a", { class: "icon-button", href: tokens, ...labels }, icon("key"));
    this.element = el(
      "nav",
      { id: "conversations", popover: "auto", "aria-label": strings.conversations },
      may.create
        ? el("button", { type: "button", class: "new", onclick: on.create }, icon("plus"), strings.newConversation)
        : null,
      this.#search.element,
      el("div", { class: "scroller" }, this.#search.found, this.#list.element),
      el("div", { class: "sidebar-footer" }, this.#theme.element, tokenLink, shortcuts),
      this.#menu.element,
    );
  }

  start() {
    this.#theme.start();
  }

  stop() {
    this.#theme.stop();
  }

  /** Applies an event of the inbox, or a page of conversations. @param {Parameters<ConversationList["apply"]>[0]} event */
  apply(event) {
    this.#list.apply(event);
  }

  get conversations() {
    return this.#list.conversations;
  }

  get unread() {
    return this.#list.unread;
  }

  set current(/** @type {string|null} */ id) {
    this.#list.current = id;
  }

  /** @param {Conversation & {yours: Yours}} conversation  @returns {MenuItem[]} */
  #actions({ id, yours }) {
    const { pinned, archived, role } = yours;
    /** @type {MenuItem[]} */
    const items = [
      { icon: "pin", text: pinned ? strings.unpin : strings.pin, run: () => this.#change(id, { pinned: !pinned }) },
      {
        icon: "archive",
        text: archived ? strings.unarchive : strings.archive,
        run: () => this.#change(id, { archived: !archived }),
      },
    ];
    if (may.admin) {
      items.push({ icon: "tool", text: strings.openInAdmin, run: () => open(may.admin.replace("*", id)) });
    }
    if (role !== "owner") return items;
    items.splice(1, 0, { icon: "edit", text: strings.rename, run: () => this.#list.rename(id) });
    return [...items, { icon: "delete", text: strings.delete, bad: true, run: () => this.#delete(id) }];
  }

  /** @param {string} id  @param {{title?: string, pinned?: boolean, archived?: boolean}} fields */
  async #change(id, fields) {
    await this.#attempt(async () => {
      this.#list.apply({ type: "conversation.updated", conversation: await this.#api.changeConversation(id, fields) });
      if (fields.archived) this.#on.notify(strings.wasArchived, () => this.#change(id, { archived: false }));
    });
  }

  /** @param {string} id */
  async #delete(id) {
    await this.#attempt(async () => {
      await this.#api.deleteConversation(id);
      this.#list.apply({ type: "conversation.removed", conversation: id });
      const wasOpen = this.#on.deleted(id);
      this.#on.notify(strings.wasDeleted, () => this.#restore(id, wasOpen), undoTimeLeft());
    });
  }

  /** @param {string} id  @param {boolean} open */
  async #restore(id, open) {
    await this.#attempt(async () => {
      this.#list.apply({ type: "conversation.updated", conversation: await this.#api.restoreConversation(id) });
      if (open) this.#on.open(id);
    });
  }

  /** @param {() => Promise<void>} work */
  #attempt(work) {
    return attempt(work, (reason) => this.#on.notify(reason));
  }
}
