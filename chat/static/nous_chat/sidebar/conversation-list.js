// The user's conversations, newest first, kept up to date by the inbox socket: pinned ones on top, archived ones folded.
// Used by sidebar.js.

import { strings } from "../i18n/strings.js";
import { el, textButton } from "../ui/dom.js";
import { ConversationRow } from "./conversation-row.js";

/** @import { Conversation, InboxEvent, Yours } from "../protocol/types.d.ts" */

/** @type {Yours} */
const UNKNOWN = { role: null, unread: 0, last_read: 0, pinned: false, archived: false };

export class ConversationList {
  /** @type {Map<string, ConversationRow>} by conversation id */
  #rows = new Map();
  /** @type {Map<string, number>} last_seq when the user left or was removed, by conversation id */
  #removedAt = new Map();
  /** @type {string|null} */
  #user = null;
  /** @type {string|null} */
  #current = null;
  #on;
  #sections;
  #archived;
  #more;

  /**
   * @param {object} on
   * @param {(id: string) => string} on.href
   * @param {(id: string) => void} on.open
   * @param {(conversation: Conversation & {yours: Yours}, button: HTMLElement) => void} on.menu
   * @param {(id: string, title: string) => void} on.rename
   * @param {(before: string) => void} on.earlier requests conversations that changed before that time
   */
  constructor(on) {
    this.#on = on;
    const rows = (/** @type {string} */ name) => el("ol", { class: "rows", "aria-label": name });
    this.#archived = el("summary");
    this.#sections = {
      pinned: rows(strings.pinned),
      others: rows(strings.conversations),
      archived: rows(strings.archived),
    };
    this.#more = textButton(strings.earlierConversations, () => this.#loadEarlier(), { hidden: true });
    const { pinned, others, archived } = this.#sections;
    this.element = el(
      "div",
      { class: "conversations" },
      el("section", {}, el("h2", {}, strings.pinned), pinned),
      el("section", {}, el("h2", {}, strings.conversations), others, this.#more),
      el("details", {}, this.#archived, archived),
    );
    this.#arrange();
  }

  /** Applies an event of the inbox, or a page of older conversations. @param {InboxEvent|{type?: undefined, conversations: Conversation[], more: boolean}} event */
  apply(event) {
    const focused = /** @type {Document|ShadowRoot} */ (this.element.getRootNode()).activeElement;
    const row = focused?.closest(".row");
    const neighbour = row?.nextElementSibling;
    if (event.type === "snapshot") {
      this.#user = event.you.id;
      this.#removedAt.clear();
      const kept = new Set(event.conversations.map(({ id }) => id));
      for (const id of this.#rows.keys()) if (!kept.has(id)) this.#remove(id);
    }
    if ("conversations" in event) {
      for (const conversation of event.conversations) this.#put(conversation);
      this.#more.hidden = !event.more;
    }
    if (event.type === "conversation.updated") this.#put(event.conversation);
    if (event.type === "conversation.removed") {
      this.#removedAt.set(event.conversation, event.last_seq ?? -1);
      this.#remove(event.conversation);
    }
    if (event.type === "typing" && event.user.id !== this.#user) {
      this.#rows.get(event.conversation)?.typing(event.user, event.on);
    } else this.#arrange();
    if (!row) return; // the focus is elsewhere; focusing it again would reopen a phone's keyboard
    if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
    if (!row.matches(":focus-within")) neighbour?.querySelector("a")?.focus(); // the row is gone, or folded away
  }

  /** Marks the open conversation. */
  set current(/** @type {string|null} */ id) {
    this.#current = id;
    for (const [each, row] of this.#rows) row.current = each === id;
  }

  /** Newest first, without the archived ones. */
  get conversations() {
    return this.#sorted.map(({ conversation }) => conversation).filter(({ yours }) => !yours.archived);
  }

  get unread() {
    return this.conversations.reduce((sum, { yours }) => sum + yours.unread, 0);
  }

  /** @param {string} id */
  rename(id) {
    this.#rows.get(id)?.rename();
  }

  #loadEarlier() {
    const loaded = this.#sorted.map(({ conversation }) => conversation).filter(({ yours }) => !yours.pinned);
    const oldest = loaded.at(-1);
    if (oldest) this.#on.earlier(oldest.updated_at);
  }

  /** @param {Conversation} conversation */
  #put(conversation) {
    const { id } = conversation;
    if (conversation.last_seq <= (this.#removedAt.get(id) ?? -Infinity)) return; // older than the removal
    let row = this.#rows.get(id);
    const known = row?.conversation;
    // A frame that goes to several users has no `yours`.
    const yours = conversation.yours ?? known?.yours ?? UNKNOWN;
    const visible = id === this.#current && !document.hidden; // its new messages are shown there
    const shown = { ...conversation, yours: visible ? { ...yours, unread: 0 } : yours };
    if (row) row.update(shown);
    else {
      const added = new ConversationRow(this.#on.href(id), shown, {
        open: () => this.#on.open(id),
        menu: (button) => this.#on.menu(added.conversation, button),
        rename: (title) => this.#on.rename(id, title),
      });
      row = added;
      this.#rows.set(id, row);
    }
    row.current = id === this.#current;
  }

  /** @param {string} id */
  #remove(id) {
    this.#rows.get(id)?.element.remove();
    this.#rows.delete(id);
  }

  get #sorted() {
    return [...this.#rows.values()].sort((one, other) =>
      one.conversation.updated_at < other.conversation.updated_at ? 1 : -1,
    );
  }

  /** Moves only the rows that are out of place. */
  #arrange() {
    const counts = { pinned: 0, others: 0, archived: 0 };
    for (const { element, conversation } of this.#sorted) {
      const { pinned, archived } = conversation.yours;
      const section = archived ? "archived" : pinned ? "pinned" : "others";
      const place = this.#sections[section].children[counts[section]] ?? null;
      if (place !== element) this.#sections[section].insertBefore(element, place);
      counts[section] += 1;
    }
    for (const [section, count] of Object.entries(counts)) {
      this.#sections[/** @type {keyof typeof counts} */ (section)].parentElement?.toggleAttribute(
        "hidden",
        count === 0,
      );
    }
    this.#archived.textContent = strings.archivedCount(counts.archived);
    this.element.toggleAttribute("data-pinned", counts.pinned > 0);
  }
}
