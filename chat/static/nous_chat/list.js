// A person's conversations, newest first, kept live by the inbox socket. Called by nous-chat.js.

import { el } from "./dom.js";
import { words } from "./words.js";

export class ConversationList {
  #items = new Map(); // id -> {conversation, element, link, title}
  #href; #onOpen; #current = null;

  /**
   * @param {{href: (id: string) => string, onOpen: (id: string) => void}} options
   */
  constructor({ href, onOpen }) {
    this.#href = href;
    this.#onOpen = onOpen;
    this.element = el("ol", { class: "conversations", "aria-label": words.conversations });
  }

  /** Folds an event of the inbox. */
  apply(event) {
    if (event.type === "snapshot") {
      const kept = new Set(event.conversations.map(({ id }) => id));
      for (const [id, { element }] of this.#items) {
        if (kept.has(id)) continue;
        element.remove();
        this.#items.delete(id);
      }
      for (const conversation of event.conversations) this.#put(conversation);
    }
    if (event.type === "conversation.updated") this.#put(event.conversation);
    this.#arrange();
  }

  /** Marks the one that is open. */
  set current(id) {
    this.#current = id;
    for (const [each, { link }] of this.#items) this.#mark(each, link);
  }

  /** The newest conversation, or null. */
  get newest() {
    return this.#order()[0] ?? null;
  }

  #put(conversation) {
    const { id, title, running } = conversation;
    if (!this.#items.has(id)) this.#items.set(id, this.#item(id));
    const item = this.#items.get(id);
    item.conversation = conversation;
    item.title.textContent = title || words.untitled;
    item.dot.hidden = !running;
  }

  #item(id) {
    const title = el("span", { class: "title", dir: "auto" });
    const dot = el("span", { class: "running", role: "img", "aria-label": words.answering, title: words.answering });
    const link = el("a", { href: this.#href(id), onclick: (event) => this.#click(event, id) }, title, dot);
    this.#mark(id, link);
    return { element: el("li", {}, link), link, title, dot };
  }

  #click(event, id) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return; // a tab or window of its own
    event.preventDefault();
    this.#onOpen(id);
  }

  #mark(id, link) {
    if (id === this.#current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }

  #order() {
    const conversations = [...this.#items.values()].map((item) => item.conversation);
    return conversations.sort((one, other) => (one.updated_at < other.updated_at ? 1 : -1));
  }

  /** Moves only what stands elsewhere, and leaves the focus where it is. */
  #arrange() {
    const focused = this.element.getRootNode().activeElement;
    this.#order().forEach(({ id }, index) => {
      const { element } = this.#items.get(id);
      const there = this.element.children[index] ?? null;
      if (there !== element) this.element.insertBefore(element, there);
    });
    if (this.element.contains(focused)) focused.focus({ preventScroll: true });
  }
}
