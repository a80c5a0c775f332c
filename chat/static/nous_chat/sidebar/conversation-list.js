// A person's conversations, newest first, kept live by the inbox socket: pinned ones above, archived ones folded away.
// Called by sidebar.js.

import { words } from "../i18n/strings.js";
import { el, quietButton } from "../ui/dom.js";
import { Row } from "./conversation-row.js";

const TYPING_FADES = 60_000; // in case the frame that ends it is lost
const NOT_YET = { role: null, unread: 0, last_read: 0, pinned: false, archived: false };

export class ConversationList {
  #rows = new Map(); // by id
  #left = new Map(); // the last message at which the person was out, by the conversation's id
  #on;
  #sections;
  #archived;
  #more;
  #me = null;
  #current = null;

  /**
   * @param {object} on
   * @param {(id: string) => string} on.href
   * @param {(id: string) => void} on.open
   * @param {(conversation: object, button: HTMLElement) => void} on.menu
   * @param {(id: string, title: string) => void} on.rename
   * @param {(before: string) => void} on.earlier asks for those that changed before that time
   */
  constructor(on) {
    this.#on = on;
    const rows = (name) => el("ol", { class: "rows", "aria-label": name });
    this.#archived = el("summary");
    this.#sections = { pinned: rows(words.pinned), others: rows(words.conversations), archived: rows(words.archived) };
    this.#more = quietButton(words.earlierConversations, () => this.#earlier(), { hidden: true });
    const { pinned, others, archived } = this.#sections;
    this.element = el(
      "div",
      { class: "conversations" },
      el("section", {}, el("h2", {}, words.pinned), pinned),
      el("section", {}, el("h2", {}, words.conversations), others, this.#more),
      el("details", {}, this.#archived, archived),
    );
    this.#arrange();
  }

  /** Folds an event of the inbox, or a page `{conversations, more}` of older ones. */
  apply(event) {
    const focused = this.element.getRootNode().activeElement;
    const row = focused?.closest(".row");
    const beside = row?.nextElementSibling;
    if (event.type === "snapshot") {
      this.#me = event.you.id;
      this.#left.clear();
      const kept = new Set(event.conversations.map(({ id }) => id));
      for (const id of this.#rows.keys()) if (!kept.has(id)) this.#drop(id);
    }
    if (event.conversations) {
      // a snapshot, or a page of older ones
      for (const conversation of event.conversations) this.#put(conversation);
      this.#more.hidden = !event.more;
    }
    if (event.type === "conversation.updated") this.#put(event.conversation);
    if (event.type === "conversation.removed") {
      this.#left.set(event.conversation, event.last_seq ?? -1);
      this.#drop(event.conversation);
    }
    if (event.type === "typing" && event.user.id !== this.#me) {
      this.#rows.get(event.conversation)?.typing(event.user, event.on, TYPING_FADES);
    } else this.#arrange();
    if (!row) return; // and no focus on what has it already, which would bring a phone's keyboard back
    focused.focus({ preventScroll: true });
    if (!row.matches(":focus-within")) beside?.querySelector("a").focus(); // it is gone, or folded away
  }

  /** Marks the one that is open. */
  set current(id) {
    this.#current = id;
    for (const [each, row] of this.#rows) row.current = each === id;
  }

  /** Newest first, without the archived ones. */
  get conversations() {
    return this.#order()
      .map(({ conversation }) => conversation)
      .filter(({ yours }) => !yours.archived);
  }

  get unread() {
    return this.conversations.reduce((sum, { yours }) => sum + yours.unread, 0);
  }

  rename(id) {
    this.#rows.get(id)?.rename();
  }

  #earlier() {
    const loaded = this.#order()
      .map(({ conversation }) => conversation)
      .filter(({ yours }) => !yours.pinned);
    this.#on.earlier(loaded.at(-1)?.updated_at);
  }

  #put(conversation) {
    const { id } = conversation;
    if (conversation.last_seq <= this.#left.get(id)) return; // it was on its way when the person was out
    if (!this.#rows.has(id)) {
      this.#rows.set(
        id,
        new Row(this.#on.href(id), {
          open: () => this.#on.open(id),
          menu: (button) => this.#on.menu(this.#rows.get(id).conversation, button),
          rename: (title) => this.#on.rename(id, title),
        }),
      );
    }
    const row = this.#rows.get(id);
    // A frame that goes to several people says nothing of what is this person's own.
    const yours = conversation.yours ?? row.conversation?.yours ?? NOT_YET;
    const seen = id === this.#current && !document.hidden; // what is new in it is told there
    row.update({ ...conversation, yours: seen ? { ...yours, unread: 0 } : yours });
    row.current = id === this.#current;
  }

  #drop(id) {
    this.#rows.get(id)?.element.remove();
    this.#rows.delete(id);
  }

  #order() {
    return [...this.#rows.values()].sort((one, other) =>
      one.conversation.updated_at < other.conversation.updated_at ? 1 : -1,
    );
  }

  /** Moves only what stands elsewhere. */
  #arrange() {
    const places = { pinned: 0, others: 0, archived: 0 };
    for (const { element, conversation } of this.#order()) {
      const { pinned, archived } = conversation.yours;
      const place = archived ? "archived" : pinned ? "pinned" : "others";
      const there = this.#sections[place].children[places[place]] ?? null;
      if (there !== element) this.#sections[place].insertBefore(element, there);
      places[place] += 1;
    }
    for (const place in places) this.#sections[place].parentElement.hidden = places[place] === 0;
    this.#archived.textContent = words.archivedCount(places.archived);
    this.element.toggleAttribute("data-pinned", places.pinned > 0);
  }
}
