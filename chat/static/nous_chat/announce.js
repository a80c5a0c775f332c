// Tells screen readers what happens, apart from the text on the page: an answer sentence by sentence while it is being
// written, then that it is complete. Called by conversation.js.

import { words } from "./words.js";

const PACE = 1000; // at most one announcement a second, so that sentences come together instead of cutting each other off
const SENTENCE = /[.!?…。！？](?=\s)|\n/g;

export class Announcer {
  #waiting = [];
  #timer = 0;
  #over = new Set();
  #open = new Map(); // answer -> {taken: how many characters were taken, rest: the beginning of a sentence}

  /** @param {HTMLElement} region a polite live region */
  constructor(region) {
    this.region = region;
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** @param {string} sentence */
  say(sentence) {
    this.#waiting.push(sentence);
    this.#timer ||= setTimeout(() => this.#speak(), PACE / 4);
  }

  /** An answer begins. @param {string} key  @param {string} sentence */
  start(key, sentence) {
    if (this.#over.has(key) || this.#open.has(key)) return;
    this.#answer(key);
    this.say(sentence);
  }

  /** More of an answer. @param {string} key  @param {string} text */
  append(key, text) {
    const answer = this.#answer(key);
    answer.taken += text.length;
    answer.rest += text;
    const ends = [...answer.rest.matchAll(SENTENCE)];
    if (ends.length === 0) return;
    const end = ends.at(-1).index + 1;
    const sentences = answer.rest.slice(0, end).trim();
    answer.rest = answer.rest.slice(end);
    if (sentences) this.say(sentences);
  }

  /** The answer stands as a whole, so far. */
  whole(key, text) {
    if (this.#over.has(key)) return;
    const { taken } = this.#answer(key);
    if (text.length > taken) this.append(key, text.slice(taken));
  }

  /** Leaves out what was there before the reader came. */
  skip(key, text) {
    if (!this.#open.has(key)) this.#answer(key).taken = text.length;
  }

  /** @param {string} outcome "Answer complete." or why it is not */
  finish(key, outcome) {
    if (this.#over.has(key)) return;
    this.#over.add(key);
    const rest = this.#answer(key).rest.trim();
    this.#open.delete(key);
    if (rest) this.say(rest);
    this.say(outcome);
  }

  #answer(key) {
    if (!this.#open.has(key)) this.#open.set(key, { taken: 0, rest: "" });
    return this.#open.get(key);
  }

  #speak() {
    const paragraph = document.createElement("p");
    paragraph.textContent = this.#waiting.splice(0).join(" ");
    this.region.append(paragraph);
    while (this.region.childElementCount > 5) this.region.firstElementChild.remove();
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (this.#waiting.length) this.#speak();
    }, PACE);
  }
}
