// Suggests agents and people after an "@" in a field: the arrow keys select, Enter or Tab inserts, Escape closes. The
// focus stays in the field. Used by composer.js.

import { strings } from "../i18n/strings.js";
import { avatar, el } from "../ui/dom.js";

const MOST_OPTIONS = 8;

/** @typedef {{handle: string, name: string, picture?: string, person: import("../protocol/types.d.ts").Person|null}} Entry an agent has no person */

/**
 * The mention that is being written at the end of a text.
 * @param {string} text up to the caret
 * @returns {{start: number, query: string}|null}
 */
export function mentionAt(text) {
  const found = /(?:^|[\s(])@([\p{L}\p{N}_.-]{0,40})$/u.exec(text);
  return found && { start: text.length - found[1].length, query: found[1].toLowerCase() };
}

/**
 * The entries whose handle, or a word of whose name, begins with the query.
 * @template {{handle: string, name: string}} T
 * @param {string} query  @param {T[]} entries
 */
export function matching(query, entries) {
  const fits = (/** @type {T} */ { handle, name }) =>
    handle.toLowerCase().startsWith(query) ||
    name
      .toLowerCase()
      .split(/\s+/)
      .some((word) => word.startsWith(query));
  return entries.filter(fits).slice(0, MOST_OPTIONS);
}

export class Mentions {
  #field;
  #entries;
  #onInsert;
  /** @type {{start: number, query: string}|null} */
  #found = null;
  /** @type {Entry[]} */
  #options = [];
  #selected = 0;

  /**
   * @param {HTMLTextAreaElement} field
   * @param {() => Entry[]} entries who can be mentioned
   * @param {() => void} onInsert called when the field's text has changed
   */
  constructor(field, entries, onInsert) {
    this.#field = field;
    this.#entries = entries;
    this.#onInsert = onInsert;
    this.element = el("ul", {
      id: "mentions",
      class: "mentions",
      role: "listbox",
      "aria-label": strings.mention,
      hidden: true,
    });
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", this.element.id);
    field.setAttribute("aria-haspopup", "listbox");
    field.addEventListener("input", () => this.#update());
    field.addEventListener("click", () => this.#update());
    field.addEventListener("blur", () => this.#close());
  }

  /** @param {KeyboardEvent} event of the field  @returns {boolean} true if the list has handled it */
  key(event) {
    if (this.element.hidden) return false;
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    const step = steps[event.key];
    if (step) this.#select((this.#selected + step + this.#options.length) % this.#options.length);
    else if ((event.key === "Enter" && !event.shiftKey) || event.key === "Tab") this.#insert(this.#selected);
    else if (event.key === "Escape") this.#close();
    else return false;
    event.preventDefault();
    event.stopPropagation(); // this Escape does not stop an answer
    return true;
  }

  #update() {
    const { value, selectionStart, selectionEnd } = this.#field;
    this.#found = selectionStart === selectionEnd ? mentionAt(value.slice(0, selectionStart)) : null;
    this.#options = this.#found ? matching(this.#found.query, this.#entries()) : [];
    if (this.#options.length === 0) return this.#close();
    this.element.replaceChildren(
      ...this.#options.map((entry, index) =>
        el(
          "li",
          {
            id: `mention-${index}`,
            role: "option",
            dir: "auto",
            onmousedown: (event) => event.preventDefault(), // keeps the focus in the field
            onclick: () => this.#insert(index),
          },
          avatar(entry.person ?? { slug: entry.handle, ...entry }),
          el("span", { class: "name", translate: "no" }, entry.name),
          entry.person ? null : el("small", { translate: "no" }, `@${entry.handle}`),
        ),
      ),
    );
    this.element.hidden = false;
    this.#select(0);
  }

  /** @param {number} index */
  #select(index) {
    this.#selected = index;
    for (const [each, option] of [...this.element.children].entries()) {
      option.setAttribute("aria-selected", String(each === index));
    }
    this.element.children[index].scrollIntoView({ block: "nearest" });
    this.#field.setAttribute("aria-activedescendant", `mention-${index}`);
  }

  /** @param {number} index */
  #insert(index) {
    if (!this.#found) return;
    const { start } = this.#found;
    const { handle } = this.#options[index];
    const caret = start + handle.length + 1;
    this.#field.setRangeText(`${handle} `, start, this.#field.selectionStart, "end");
    this.#field.setSelectionRange(caret, caret);
    this.#close();
    this.#onInsert();
  }

  #close() {
    this.element.hidden = true;
    this.#field.removeAttribute("aria-activedescendant");
  }
}
