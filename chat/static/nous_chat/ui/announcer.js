// Tells screen readers what happens, apart from the text on the page: an answer by whole sentences while it is being
// written, then that it is complete. Told of events by conversation.js, which also makes it speak, once a second.

import { activeRuns } from "../protocol/reducer.js";

const SENTENCE_END = /[.!?…](?=\s)|[。！？\n]/g;

/** What a piece of Markdown says, without the marks: fences, the lines of tables, addresses of links. */
export function spoken(markdown) {
  return markdown
    .replace(/^[ \t]*(?:```|~~~).*$|^[ \t|:-]+$/gm, "")
    .replace(/!?\[([^\]\n]*)\]\([^)\s]*\)/g, "$1")
    .replace(/^[ \t]*(?:>[ \t]*)+|^[ \t]*(?:#{1,6}|[-+*])[ \t]+/gm, "")
    .replace(/\*+|`+|~~|\$\$|(?<!\w)_+|_+(?!\w)/g, "")
    .replace(/[ \t]*\|[ \t]*/g, " ");
}

/** A screen reader says it. @param {HTMLElement} region a polite live region  @param {string} sentence */
export function sayIn(region, sentence) {
  const paragraph = document.createElement("p");
  paragraph.textContent = sentence;
  region.append(paragraph);
  if (region.childElementCount > 5) region.firstElementChild.remove();
}

export class Announcer {
  #region;
  #state;
  #waiting = [];
  #heard = new Map(); // run -> how many characters of its answer have been said; Infinity when it is over

  /**
   * @param {HTMLElement} region a polite live region
   * @param {import("../protocol/reducer.js").State} state
   */
  constructor(region, state) {
    this.#region = region;
    this.#state = state;
  }

  /** @param {string} sentence */
  say(sentence) {
    if (sentence.trim()) this.#waiting.push(sentence.trim());
  }

  /** @param {string} run  @param {string} sentence */
  started(run, sentence) {
    if (this.#heard.has(run)) return;
    this.#heard.set(run, 0);
    this.say(sentence);
  }

  /** @param {object} message  @param {string} outcome that it is complete, or why not */
  finished({ run, text }, outcome) {
    const heard = this.#heard.get(run.id) ?? text.length;
    if (heard === Infinity) return;
    this.#heard.set(run.id, Infinity);
    this.say(spoken(text.slice(heard)));
    this.say(outcome);
  }

  tick() {
    for (const [id, { key }] of activeRuns(this.#state)) {
      const text = this.#state.messages.get(key)?.text ?? "";
      const heard = this.#heard.get(id) ?? text.length; // what was there before the reader came is not read out
      const fresh = text.slice(heard);
      const end = [...fresh.matchAll(SENTENCE_END)].at(-1)?.index ?? -1;
      this.#heard.set(id, heard + end + 1);
      this.say(spoken(fresh.slice(0, end + 1)));
    }
    if (this.#waiting.length === 0) return;
    sayIn(this.#region, this.#waiting.splice(0).join(" "));
  }
}
