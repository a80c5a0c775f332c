// Offers agents and people where somebody writes "@" in a field: arrows choose, Enter or Tab takes, Escape closes. Made by
// composer.js; the field stays the focus, the list is what it controls.

import { words } from "../i18n/strings.js";
import { avatar, el, icon } from "../ui/dom.js";

const LONGEST = 8; // entries shown

/**
 * What may follow the "@" that the caret stands behind; null if it stands behind none.
 * @param {string} text up to the caret
 * @returns {{start: number, query: string}|null}
 */
export function mentionAt(text) {
  const found = /(?:^|[\s(])@([\p{L}\p{N}_.-]{0,40})$/u.exec(text);
  return found && { start: text.length - found[1].length, query: found[1].toLowerCase() };
}

/** Those whose handle or a word of whose name begins like that. */
export function matching(query, entries) {
  const fits = ({ handle, name }) =>
    handle.toLowerCase().startsWith(query) ||
    name
      .toLowerCase()
      .split(/\s+/)
      .some((word) => word.startsWith(query));
  return entries.filter(fits).slice(0, LONGEST);
}

export class Mention {
  #field;
  #entries;
  #onTake;
  #found = null;
  #options = [];
  #at = 0;

  /**
   * @param {HTMLTextAreaElement} field
   * @param {() => {handle: string, name: string, person: object|null}[]} entries who can be mentioned; agents have no person
   * @param {() => void} onTake the field has changed
   */
  constructor(field, entries, onTake) {
    this.#field = field;
    this.#entries = entries;
    this.#onTake = onTake;
    this.element = el("ul", {
      id: "mentions",
      class: "mentions",
      role: "listbox",
      "aria-label": words.mention,
      hidden: true,
    });
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", this.element.id);
    field.setAttribute("aria-haspopup", "listbox");
    field.addEventListener("input", () => this.#look());
    field.addEventListener("click", () => this.#look());
    field.addEventListener("blur", () => this.#close());
  }

  /** @param {KeyboardEvent} event of the field  @returns {boolean} was it for the list? */
  key(event) {
    if (this.element.hidden || event.isComposing) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.#mark((this.#at + step + this.#options.length) % this.#options.length);
    else if ((event.key === "Enter" && !event.shiftKey) || event.key === "Tab") this.#take(this.#at);
    else if (event.key === "Escape") this.#close();
    else return false;
    event.preventDefault();
    event.stopPropagation(); // Escape stops no answer here
    return true;
  }

  #look() {
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
            onmousedown: (event) => event.preventDefault(), // the field keeps the focus
            onclick: () => this.#take(index),
          },
          entry.person ? avatar(entry.person) : el("span", { class: "avatar agent" }, icon("spark")),
          el("span", { class: "name" }, entry.name),
          entry.person ? null : el("small", {}, `@${entry.handle}`),
        ),
      ),
    );
    this.element.hidden = false;
    this.#mark(0);
  }

  #mark(index) {
    this.#at = index;
    for (const [each, option] of [...this.element.children].entries())
      option.setAttribute("aria-selected", each === index);
    this.element.children[index].scrollIntoView({ block: "nearest" });
    this.#field.setAttribute("aria-activedescendant", `mention-${index}`);
  }

  #take(index) {
    const caret = this.#found.start + this.#options[index].handle.length + 1;
    this.#field.setRangeText(`${this.#options[index].handle} `, this.#found.start, this.#field.selectionStart, "end");
    this.#field.setSelectionRange(caret, caret);
    this.#close();
    this.#onTake();
  }

  #close() {
    this.element.hidden = true;
    this.#field.removeAttribute("aria-activedescendant");
  }
}
