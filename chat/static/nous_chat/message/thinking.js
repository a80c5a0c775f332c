// A model's thinking: a disclosure whose summary is the last sentence while it streams. Used by body.js.

import { strings } from "../i18n/strings.js";
import { el } from "../ui/dom.js";
import { TextView } from "./text.js";

export class Thinking {
  #summary;
  #view;
  #text = "";
  #active = false;

  constructor() {
    const text = el("div", { class: "thought" });
    this.#summary = el("summary");
    this.#view = new TextView(text);
    this.element = el("details", { "data-part": "thinking", dir: "auto" }, this.#summary, text);
  }

  /** @param {string} text all of it  @param {boolean} active true while the model is thinking this */
  set(text, active) {
    this.#text = text.replace(/^\n+/, ""); // a blank line divides it from earlier thinking
    this.#active = active;
    this.#view.set(this.#text);
    this.#summarize();
  }

  /** @param {string} text added at its end */
  append(text) {
    this.#text += text;
    this.#view.append(text);
    this.#summarize();
  }

  #summarize() {
    this.#summary.textContent = this.#active ? lastSentence(this.#text) : strings.thought;
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
