// The lines between messages: a new day, and where the unread begins. Called by messages.js each time it puts the
// messages in order; a line is made once and then only moved.

import { words } from "../i18n/strings.js";
import { el } from "../ui/dom.js";

export class Lines {
  #state;
  #days = new Map();
  #unread = null;
  #used = new Set();
  #marked = false; // is it settled where the unread begins?

  /** @param {import("../protocol/reducer.js").State} state */
  constructor(state) {
    this.#state = state;
  }

  begin() {
    this.#used.clear();
    this.#marked = false;
  }

  /**
   * @param {{seq: number, at: string|null}|null} one the message before
   * @param {{seq: number, at: string|null, mine: boolean}} other
   * @returns {HTMLElement[]} what stands between them
   */
  between(one, other) {
    const lines = [];
    const day = dayOf(other.at);
    const today = dayOf(new Date().toISOString());
    if (one ? day > dayOf(one.at) : day < today || this.#state.more) lines.push(this.#day(day));
    if (this.#beginsUnread(one, other)) lines.push(this.#mark());
    for (const line of lines) this.#used.add(line);
    return lines;
  }

  /** What is needed no longer goes. */
  end() {
    for (const [day, line] of this.#days) {
      if (this.#used.has(line)) continue;
      line.remove();
      this.#days.delete(day);
    }
    if (this.#unread && !this.#used.has(this.#unread)) this.#unread.remove();
  }

  /** Where the unread begins, if that is on the page. @returns {HTMLElement|null} */
  get unread() {
    return this.#unread?.isConnected ? this.#unread : null;
  }

  /** If what stands first on the page is unread, more may be above it: the line waits until that is loaded. */
  #beginsUnread(one, other) {
    const { unread, more } = this.#state;
    if (unread === null || this.#marked || other.mine || other.seq <= unread) return false;
    this.#marked = true;
    return one !== null || !more;
  }

  #day(day) {
    if (!this.#days.has(day)) this.#days.set(day, el("p", { class: "day" }));
    const line = this.#days.get(day);
    line.textContent = words.day(day);
    return line;
  }

  #mark() {
    return (this.#unread ??= el("p", { class: "unread" }, words.unreadBegins));
  }
}

/** The local day as "2026-11-24"; what has no time yet is of today. */
export function dayOf(iso) {
  const date = iso ? new Date(iso) : new Date();
  const two = (number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
