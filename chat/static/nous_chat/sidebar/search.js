// Finds what was said, in all conversations of a person: the server searches, here stands the field and what was found.
// Called by sidebar.js.

import { words } from "../i18n/strings.js";
import { el, followsHere, icon, iconButton, quietButton } from "../ui/dom.js";

const PAUSE = 200; // ms after the last key
const SHORTEST = 2;

export class Search {
  #on;
  #field;
  #clear;
  #results;
  #said;
  #more;
  #timer = 0;
  #asked = 0; // the number of the newest question: late answers to older ones are not shown

  /**
   * @param {object} on
   * @param {(query: object) => Promise<{results: object[], more: boolean}>} on.ask
   * @param {(conversation: string, message?: string) => string} on.href
   * @param {(conversation: string, message?: string) => void} on.open
   * @param {(searching: boolean) => void} on.change the results take the place of the list, or give it back
   * @param {(sentence: string) => void} on.say for screen readers
   */
  constructor(on) {
    this.#on = on;
    this.#field = el("input", {
      type: "search",
      "aria-label": words.search,
      placeholder: words.search,
      autocomplete: "off",
      dir: "auto",
      enterkeyhint: "search",
      oninput: () => this.#changed(),
      onkeydown: (event) => this.#key(event),
    });
    this.#clear = iconButton("close", words.clear, { hidden: true, onclick: () => this.clear() });
    this.#said = el("p", { class: "found" });
    this.#results = el("ol", { class: "results", "aria-label": words.found });
    this.#more = quietButton(words.moreResults, () => this.#ask(true), { hidden: true });
    this.element = el("search", { class: "search" }, icon("search"), this.#field, this.#clear);
    this.found = el("div", { hidden: true }, this.#said, this.#results, this.#more);
  }

  focus() {
    this.#field.focus();
    this.#field.select();
  }

  clear() {
    this.#field.value = "";
    this.#changed();
    this.#field.focus();
  }

  get #query() {
    return this.#field.value.trim();
  }

  #key(event) {
    if (event.key !== "Escape" || this.#field.value === "") return;
    event.preventDefault(); // and with it that Escape stops an answer
    event.stopPropagation();
    this.clear();
  }

  #changed() {
    clearTimeout(this.#timer);
    this.#asked += 1;
    this.#clear.hidden = this.#field.value === "";
    const searching = this.#query.length >= SHORTEST;
    this.found.hidden = !searching;
    this.#on.change(searching);
    if (searching) this.#timer = setTimeout(() => this.#ask(), PAUSE);
    else this.#show([], false);
  }

  async #ask(further = false) {
    const number = (this.#asked += 1);
    const before = further ? this.#results.lastElementChild?.dataset.id : null;
    try {
      const { results, more } = await this.#on.ask({ q: this.#query, ...(before && { before }) });
      if (number === this.#asked) this.#show(results, more, further);
    } catch (refusal) {
      if (number === this.#asked) this.#tell(refusal.message);
    }
  }

  #show(results, more, further = false) {
    const items = results.map((result) => this.#item(result));
    if (further) this.#results.append(...items);
    else this.#results.replaceChildren(...items);
    this.#more.hidden = !more;
    if (this.#query.length >= SHORTEST) this.#tell(words.results(this.#results.childElementCount, more));
  }

  #tell(sentence) {
    this.#said.textContent = sentence;
    this.#on.say(sentence);
  }

  #item(result) {
    const { id, conversation, message } = result;
    const excerpt = marked(result.excerpt, result.matches);
    const title = conversation.title || words.untitled;
    const said = message && [message.author?.name, words.when(message.created_at)].filter(Boolean).join(" · ");
    const link = el(
      "a",
      {
        href: this.#on.href(conversation.id, message?.id),
        onclick: (event) => followsHere(event) && this.#on.open(conversation.id, message?.id),
      },
      el("span", { class: "title", dir: "auto" }, ...(message ? [title] : excerpt)), // a title that matches is the excerpt
      message && el("span", { class: "meta" }, said),
      message && el("span", { class: "excerpt", dir: "auto" }, ...excerpt),
    );
    return el("li", { "data-id": id }, link);
  }
}

/**
 * @param {string} text
 * @param {[number, number][]} matches where in it, in order
 * @returns {(string|HTMLElement)[]}
 */
export function marked(text, matches) {
  const parts = [];
  let from = 0;
  for (const [start, end] of matches) {
    parts.push(text.slice(from, start), el("mark", {}, text.slice(start, end)));
    from = end;
  }
  return [...parts, text.slice(from)].filter((part) => part !== "");
}
