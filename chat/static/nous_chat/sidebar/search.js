// Search in all of the user's conversations: the field and the results. The server searches. Used by sidebar.js.

import { strings } from "../i18n/strings.js";
import { el, icon, iconButton, opensHere, textButton } from "../ui/dom.js";

/** @import { Place, SearchResult } from "../protocol/types.d.ts" */

const DEBOUNCE = 200; // ms after the last key
const SHORTEST = 2;

export class Search {
  #on;
  #field;
  #clear;
  #results;
  #status;
  #more;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  #request = 0; // number of the newest request: late answers to earlier ones are ignored

  /**
   * @param {object} on
   * @param {(query: Record<string, string>) => Promise<{results: SearchResult[], more: boolean}>} on.search
   * @param {(conversation: string, place?: Place) => string} on.href
   * @param {(conversation: string, place: Place, words: string[]) => void} on.open
   * @param {(searching: boolean) => void} on.change the results replace the list, or give way to it
   * @param {(sentence: string) => void} on.say for screen readers
   */
  constructor(on) {
    this.#on = on;
    this.#field = el("input", {
      type: "search",
      "aria-label": strings.search,
      placeholder: strings.search,
      autocomplete: "off",
      dir: "auto",
      enterkeyhint: "search",
      oninput: () => this.#changed(),
      onkeydown: (event) => this.#key(event),
    });
    this.#clear = iconButton("close", strings.clear, { hidden: true, onclick: () => this.clear() });
    this.#status = el("p", { class: "result-count" });
    this.#results = el("ol", { class: "results", "aria-label": strings.results });
    this.#more = textButton(strings.moreResults, () => this.#search(true), { hidden: true });
    this.element = el("search", { class: "search" }, icon("search"), this.#field, this.#clear);
    this.found = el("div", { hidden: true }, this.#status, this.#results, this.#more);
  }

  clear() {
    this.#field.value = "";
    this.#changed();
    this.#field.focus();
  }

  get #query() {
    return this.#field.value.trim();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "Escape" || this.#field.value === "") return;
    event.preventDefault();
    event.stopPropagation(); // this Escape does not stop an answer
    this.clear();
  }

  #changed() {
    clearTimeout(this.#timer);
    this.#request += 1;
    this.#clear.hidden = this.#field.value === "";
    const searching = this.#query.length >= SHORTEST;
    this.found.hidden = !searching;
    this.#on.change(searching);
    if (searching) this.#timer = setTimeout(() => this.#search(), DEBOUNCE);
    else this.#show([], false);
  }

  /** @param {boolean} [further] the next page of results */
  async #search(further = false) {
    const number = (this.#request += 1);
    const last = /** @type {HTMLElement|null} */ (this.#results.lastElementChild);
    const before = further ? last?.dataset.id : null;
    try {
      const { results, more } = await this.#on.search({ q: this.#query, ...(before && { before }) });
      if (number === this.#request) this.#show(results, more, further);
    } catch (error) {
      if (number === this.#request) this.#report(/** @type {Error} */ (error).message);
    }
  }

  /** @param {SearchResult[]} results  @param {boolean} more  @param {boolean} [further] */
  #show(results, more, further = false) {
    const items = results.map((result) => this.#item(result));
    if (further) this.#results.append(...items);
    else this.#results.replaceChildren(...items);
    this.#more.hidden = !more;
    if (this.#query.length >= SHORTEST) this.#report(strings.resultCount(this.#results.childElementCount, more));
  }

  /** @param {string} sentence */
  #report(sentence) {
    this.#status.textContent = sentence;
    this.#on.say(sentence);
  }

  /** @param {SearchResult} result */
  #item(result) {
    const { id, conversation, message, document } = result;
    const excerpt = highlight(result.excerpt, result.matches);
    const words = excerpt.filter((part) => part instanceof HTMLElement).map((part) => part.textContent ?? "");
    const title = conversation.title || strings.untitled;
    const meta = message
      ? [message.author?.name, strings.when(message.created_at)].filter(Boolean).join(" · ")
      : document?.title;
    const place = { message: message?.id, document: document?.id };
    const link = el(
      "a",
      {
        href: this.#on.href(conversation.id, place),
        onclick: (event) => opensHere(event) && this.#on.open(conversation.id, place, words),
      },
      el("span", { class: "title", dir: "auto" }, ...(meta ? [title] : excerpt)), // a matching title is the excerpt
      meta && el("span", { class: "meta" }, meta),
      meta && el("span", { class: "excerpt", dir: "auto" }, ...excerpt),
    );
    return el("li", { "data-id": id }, link);
  }
}

/**
 * @param {string} text
 * @param {[number, number][]} matches start and end of each match in Unicode characters, in order
 * @returns {(string|HTMLElement)[]}
 */
export function highlight(text, matches) {
  const characters = [...text];
  const slice = (/** @type {number} */ start, /** @type {number} */ end = characters.length) =>
    characters.slice(start, end).join("");
  const parts = [];
  let from = 0;
  for (const [start, end] of matches) {
    parts.push(slice(from, start), el("mark", {}, slice(start, end)));
    from = end;
  }
  return [...parts, slice(from)].filter((part) => part !== "");
}
