// The messages on the page: one node for each key, changed once per animation frame, however many frames of the wire
// came in between. Called by conversation.js with the changes of apply.js; reads the state, writes nothing.

import { isShown } from "./apply.js";
import { el } from "./dom.js";
import { MessageView } from "./message.js";
import { Scroller } from "./scroll.js";
import { words } from "./words.js";

export class Messages {
  #state; #column; #earlier; #onRetry; #onDecide; #onEarlier;
  #views = new Map(); // by key
  #changed = new Map(); // key -> "whole" | {text, thinking} to be appended
  #frame = 0;
  #newest = 0; // the highest seq that has been shown
  #retry = null; // key of the answer that can be made again
  #loading = false;

  /**
   * @param {import("./apply.js").State} state
   * @param {object} options
   * @param {HTMLElement} options.foot stands under the last message
   * @param {(message: string) => void} options.onRetry
   * @param {(call: string, decision: object) => void} options.onDecide
   * @param {(before: number) => boolean} options.onEarlier asks for older messages; says whether it could
   */
  constructor(state, { foot, onRetry, onDecide, onEarlier }) {
    this.#state = state;
    this.#onRetry = onRetry;
    this.#onDecide = onDecide;
    this.#onEarlier = onEarlier;
    this.#earlier = el("button", { type: "button", class: "quiet earlier", hidden: true, onclick: () => this.#load() },
      words.earlier);
    this.#column = el("div", { class: "column" }, this.#earlier, foot);
    this.element = el("div", { class: "log", role: "log", "aria-live": "off", "aria-label": words.messages, tabindex: "0" },
      this.#column);
    this.scroller = new Scroller(this.element, this.#column, () => this.#load());
  }

  start() {
    this.scroller.start();
  }

  stop() {
    this.scroller.stop();
    cancelAnimationFrame(this.#frame);
  }

  /** @param {string} key of a message that is new, changed as a whole, or gone */
  put(key) {
    this.#changed.set(key, "whole");
    this.#schedule();
  }

  /** @param {string} key  @param {"text"|"thinking"} part  @param {string} text */
  append(key, part, text) {
    const changed = this.#changed.get(key) ?? { text: "", thinking: "" };
    if (changed === "whole") return; // the state has it
    changed[part] += text;
    this.#changed.set(key, changed);
    this.#schedule();
  }

  /** @param {string|null} key of the answer that can be made again */
  offerRetry(key) {
    if (key === this.#retry) return;
    for (const each of [this.#retry, key]) if (each) this.put(each);
    this.#retry = key;
  }

  /** Older messages have come, or could not come. */
  loaded() {
    this.#loading = false;
    this.#schedule();
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  #render() {
    this.#frame = 0;
    const whole = [];
    for (const [key, change] of this.#changed) {
      if (change === "whole") whole.push(key);
      else this.#grow(key, change);
    }
    this.#changed.clear();
    this.scroller.steady(() => {
      for (const key of whole) this.#renew(key);
      if (whole.length) this.#arrange();
      this.#earlier.hidden = !this.#state.more;
      this.#earlier.disabled = this.#loading;
    });
  }

  #grow(key, added) {
    const view = this.#views.get(key);
    for (const part of ["thinking", "text"]) {
      if (added[part]) view?.append(part, added[part], this.#state.messages.get(key));
    }
  }

  #renew(key) {
    const message = this.#state.messages.get(key);
    if (!message || !isShown(this.#state, message.id)) {
      this.#views.get(key)?.element.remove();
      this.#views.delete(key);
      return;
    }
    if (!this.#views.has(key)) {
      this.#views.set(key, new MessageView({
        retry: () => this.#onRetry(this.#state.messages.get(key).id),
        decide: this.#onDecide,
      }));
    }
    const view = this.#views.get(key);
    const waiting = view.waiting;
    view.update(message, { you: this.#state.you, retry: key === this.#retry, decisions: this.#state.decisions });
    if (view.waiting > waiting) this.scroller.arrived();
    if (message.id && message.seq > this.#newest) {
      this.#newest = message.seq;
      if (!message.author || message.author.id !== this.#state.you.id) this.scroller.arrived();
    }
  }

  /** Puts every node where its seq belongs (what has none stands at the end); touches only those that are elsewhere. */
  #arrange() {
    const views = [...this.#views.values()].sort((one, other) => (one.seq === other.seq ? 0 : one.seq - other.seq));
    let previous = this.#earlier;
    let group = null;
    for (const view of views) {
      if (previous.nextSibling !== view.element) previous.after(view.element);
      view.lead(view.group !== group);
      group = view.group;
      previous = view.element;
    }
  }

  #load() {
    if (this.#loading || !this.#state.more) return;
    let oldest = Infinity;
    for (const message of this.#state.messages.values()) oldest = Math.min(oldest, message.seq);
    this.#loading = this.#onEarlier(oldest);
    this.#schedule();
  }
}
