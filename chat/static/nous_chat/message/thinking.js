// A model's thinking: a disclosure whose summary is the last sentence while it streams. Used by message.js.

import { strings } from "../i18n/strings.js";
import { isInProgress } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";
import { TextView } from "./text.js";

export class Thinking {
  #summary;
  #view;

  constructor() {
    const text = el("div", { class: "thought" });
    this.#summary = el("summary");
    this.#view = new TextView(text);
    this.element = el("details", { "data-part": "thinking", dir: "auto", hidden: true }, this.#summary, text);
  }

  /** @param {string} text all of it */
  set(text) {
    this.#view.set(text);
  }

  /** @param {string} text added at its end */
  append(text) {
    this.#view.append(text);
  }

  /** @param {import("../protocol/types.d.ts").Message} message  @returns {boolean} true while the model is thinking */
  update({ text, thinking, run }) {
    const active = thinking !== "" && text === "" && run !== null && isInProgress(run);
    this.element.toggleAttribute("hidden", thinking === ""); // setting `hidden` would restyle it at each delta
    if (thinking) this.#summary.textContent = active ? lastSentence(thinking) : strings.thought;
    return active;
  }
}

/** The last sentence so far; looks only at the last 400 characters. @param {string} thinking */
export function lastSentence(thinking) {
  const sentences = thinking
    .slice(-400)
    .trim()
    .split(/(?<=[.!?…])\s+|\n+/);
  return (sentences.at(-1) ?? "").replace(/[*#_`]/g, "").slice(-160) || strings.thinking;
}
