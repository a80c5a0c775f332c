// The separators between messages: one for each new day, and one where the unread messages begin. message-list.js calls
// it each time it sorts the messages; a separator is created once and then only moved.

import { strings } from "../i18n/strings.js";
import { el } from "../ui/dom.js";

/** @typedef {{seq: number, at: string|null, mine: boolean}} Place a message, as the list knows it */

export class Separators {
  #state;
  /** @type {Map<string, HTMLElement>} */
  #days = new Map();
  /** @type {HTMLElement|null} */
  #unread = null;
  /** @type {Set<HTMLElement>} */
  #used = new Set();
  #unreadPlaced = false;

  /** @param {import("../protocol/types.d.ts").State} state */
  constructor(state) {
    this.#state = state;
  }

  begin() {
    this.#used.clear();
    this.#unreadPlaced = false;
  }

  /** The separators between two messages. @param {Place|null} one the message before  @param {Place} other  @returns {HTMLElement[]} */
  between(one, other) {
    const separators = [];
    const day = dayOf(other.at);
    const today = dayOf(new Date().toISOString());
    if (one ? day > dayOf(one.at) : day < today || this.#state.more) separators.push(this.#day(day));
    if (this.#beginsUnread(one, other))
      separators.push((this.#unread ??= el("p", { class: "unread" }, strings.unreadBegins)));
    for (const separator of separators) this.#used.add(separator);
    return separators;
  }

  /** Removes the separators that `between` has not returned since `begin`. */
  end() {
    for (const [day, separator] of this.#days) {
      if (this.#used.has(separator)) continue;
      separator.remove();
      this.#days.delete(day);
    }
    if (this.#unread && !this.#used.has(this.#unread)) this.#unread.remove();
  }

  /** The separator where the unread messages begin, if it is on the page. */
  get unread() {
    return this.#unread?.isConnected ? this.#unread : null;
  }

  /**
   * If the first loaded message is unread, the unread ones may begin earlier: the separator waits until they are loaded.
   * @param {Place|null} one  @param {Place} other
   */
  #beginsUnread(one, other) {
    const { unread, more } = this.#state;
    if (unread === null || this.#unreadPlaced || other.mine || other.seq <= unread) return false;
    this.#unreadPlaced = true;
    return one !== null || !more;
  }

  /** @param {string} day */
  #day(day) {
    let separator = this.#days.get(day);
    if (!separator) this.#days.set(day, (separator = el("p", { class: "day" })));
    separator.textContent = strings.day(day);
    return separator;
  }
}

/** The local day as "2026-11-24"; today for an unsent message. @param {string|null} iso */
export function dayOf(iso) {
  const date = iso ? new Date(iso) : new Date();
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
