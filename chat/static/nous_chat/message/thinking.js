// What a model thinks before it answers: a line that opens, its last sentence as it streams. Called by message.js.

import { words } from "../i18n/strings.js";
import { isWriting } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";
import { TextView } from "./text.js";

export class Thinking {
  #summary;
  #text;
  #view;

  constructor() {
    this.#summary = el("summary");
    this.#text = el("div", { class: "thought" });
    this.#view = new TextView(this.#text);
    this.element = el("details", { "data-part": "thinking", dir: "auto", hidden: true }, this.#summary, this.#text);
  }

  /** @param {string} text all of it */
  set(text) {
    this.#view.set(text);
  }

  /** @param {string} text a piece at its end */
  append(text) {
    this.#view.append(text);
  }

  /** @param {object} message with that thinking in it  @returns {boolean} is it thinking now? */
  progress({ text, thinking, run }) {
    const now = thinking !== "" && text === "" && run !== null && isWriting(run);
    this.element.toggleAttribute("hidden", thinking === ""); // `hidden =` would have it styled again at each delta
    if (thinking) this.#summary.textContent = now ? lastSentence(thinking) : words.thought;
    return now;
  }
}

/** The end of a thought that is still going on; only its last 400 characters are looked at. */
export function lastSentence(thinking) {
  const sentences = thinking
    .slice(-400)
    .trim()
    .split(/(?<=[.!?…])\s+|\n+/);
  return (
    sentences
      .at(-1)
      .replace(/[*#_`]/g, "")
      .slice(-160) || words.thinking
  );
}
