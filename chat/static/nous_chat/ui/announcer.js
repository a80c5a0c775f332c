// Announces to screen readers what happens: an answer sentence by sentence while it streams, then that it is complete.
// conversation.js passes the events on and calls tick() once a second.

import { endOfPiece, limitMarks } from "../i18n/graphemes.js";
import { activeRuns } from "../protocol/reducer.js";

const SENTENCE_END = /[.!?…](?=\s)|[。！？\n]/g;

/** Markdown without its marks: fences, table rules, link addresses. @param {string} markdown */
export function plainText(markdown) {
  return markdown
    .replace(/^[ \t]*(?:```|~~~).*$|^[ \t|:-]+$/gm, "")
    .replace(/!?\[([^[\]\n]*)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*\)/g, "$1")
    .replace(/^[ \t]*(?:>[ \t]*)+|^[ \t]*(?:#{1,6}|[-+*])[ \t]+/gm, "")
    .replace(/\*+|`+|~~|\$\$|(?<!\w)_+|(?<!_)_+(?!\w)/g, "")
    .replace(/(?:(?<![ \t])[ \t]+)?\|[ \t]*/g, " ");
}

/** Adds a sentence to a live region. @param {HTMLElement} region  @param {string} sentence */
export function announceIn(region, sentence) {
  const paragraph = document.createElement("p");
  paragraph.textContent = sentence;
  region.append(paragraph);
  if (region.childElementCount > 5) region.firstElementChild?.remove();
}

export class Announcer {
  #region;
  #state;
  /** @type {string[]} */
  #queue = [];
  /** @type {Map<string, number>} how many characters of a run's answer were announced; Infinity when it is over */
  #announced = new Map();

  /**
   * @param {HTMLElement} region polite live region
   * @param {import("../protocol/types.d.ts").State} state
   */
  constructor(region, state) {
    this.#region = region;
    this.#state = state;
  }

  /** @param {string} sentence */
  say(sentence) {
    if (sentence.trim()) this.#queue.push(sentence.trim());
  }

  /** @param {string} run  @param {string} sentence */
  started(run, sentence) {
    if (this.#announced.has(run)) return;
    this.#announced.set(run, 0);
    this.say(sentence);
  }

  /**
   * @param {{run: {id: string}, text: string}} message
   * @param {string} outcome that the answer is complete, or why it is not
   */
  finished({ run, text }, outcome) {
    const announced = this.#announced.get(run.id) ?? text.length;
    if (announced === Infinity) return;
    this.#announced.set(run.id, Infinity);
    this.say(plainText(text.slice(announced)));
    this.say(outcome);
  }

  tick() {
    for (const [id, { key }] of activeRuns(this.#state)) {
      const text = this.#state.messages.get(key ?? "")?.text ?? "";
      const announced = this.#announced.get(id) ?? text.length; // text from before the user's arrival is left out
      const added = text.slice(announced);
      const end = [...added.matchAll(SENTENCE_END)].at(-1)?.index ?? -1;
      this.#announced.set(id, announced + end + 1);
      this.say(plainText(added.slice(0, end + 1)));
    }
    if (this.#queue.length === 0) return;
    const text = this.#queue.join(" ");
    const end = endOfPiece(text, 0);
    this.#queue = end < text.length ? [text.slice(end)] : [];
    announceIn(this.#region, limitMarks(text.slice(0, end)));
  }
}
