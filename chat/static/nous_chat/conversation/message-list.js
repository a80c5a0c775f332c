// The messages on the page: one node for each key, changed once per animation frame, however many frames of the wire
// came in between. Called by conversation.js with the changes of apply.js; reads the state, writes nothing.

import { words } from "../i18n/strings.js";
import { MessageView } from "../message/message.js";
import { isShown, keyOf, lastOwn, messageOf } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";
import { Scroller } from "./scroll.js";
import { Lines } from "./separators.js";

const BETWEEN = 30; // ms from one drawing of growing text to the next: nobody reads faster, and each is laid out and painted
const FOUND_LASTS = 1500; // ms
const MOST_PAGES = 40; // loaded to find a message
const GROUP = 10 * 60_000; // ms: after a longer pause the name and the time stand there again

export class Messages {
  #state;
  #column;
  #earlier;
  #acts;
  #onEarlier;
  #lines;
  #views = new Map(); // by key
  #changed = new Map(); // key -> "whole" | {text, thinking} to be appended
  #frame = 0;
  #timer; // until the next drawing of text that grows
  #drawn = -Infinity; // when the last one was
  #newest = 0; // the highest seq that has been shown
  #offered = null; // key of the answer that can be made again, or go on
  #loading = false;
  #chosen = null; // id of the alternative that is to be shown next
  #sought = null; // {id, pages}: a message to go to, and how many pages may be loaded for it
  #begun = false; // has the reader been put where he begins?

  /**
   * @param {import("../protocol/reducer.js").State} state
   * @param {object} options
   * @param {HTMLElement} options.foot stands under the last message
   * @param {import("../message/message.js").Acts} options.acts
   * @param {(before: number) => boolean} options.onEarlier asks for older messages; says whether it could
   */
  constructor(state, { foot, acts, onEarlier }) {
    this.#state = state;
    this.#acts = {
      ...acts,
      open: (id) => this.reveal(id),
      choose: (id) => {
        this.#chosen = id;
        acts.choose(id);
      },
    };
    this.#onEarlier = onEarlier;
    this.#lines = new Lines(state);
    this.#earlier = el(
      "button",
      { type: "button", class: "quiet earlier", hidden: true, onclick: () => this.#load() },
      words.earlier,
    );
    this.#column = el("div", { class: "column" }, this.#earlier, foot);
    this.element = el(
      "div",
      { class: "log", role: "log", "aria-live": "off", "aria-label": words.messages, tabindex: "0" },
      this.#column,
    );
    this.scroller = new Scroller(this.element, this.#column, () => this.#load());
  }

  start() {
    this.scroller.start();
  }

  stop() {
    this.scroller.stop();
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
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
    this.#timer ||= setTimeout(() => this.#schedule(), this.#drawn + BETWEEN - performance.now());
  }

  /** @param {string|null} key of the answer that can be made again, or go on, now */
  offer(key) {
    if (key === this.#offered) return;
    for (const each of [this.#offered, key]) if (each) this.put(each);
    this.#offered = key;
  }

  /** Opens one's last message for correction; says whether there is one. */
  editLast() {
    const last = lastOwn(this.#state);
    const view = last && this.#views.get(keyOf(this.#state, last));
    view?.edit();
    return Boolean(view);
  }

  /** What was asked for a message was refused. @returns {boolean} is it told there? */
  refused(id, sentence) {
    const message = messageOf(this.#state, id);
    return this.#views.get(message && keyOf(this.#state, message))?.refused(sentence) ?? false;
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
    this.#timer = clearTimeout(this.#timer);
    this.#drawn = performance.now();
    const focused = this.#focused;
    const whole = [];
    for (const [key, change] of this.#changed) {
      if (change === "whole") whole.push(key);
      else this.#grow(key, change);
    }
    this.#changed.clear();
    this.scroller.steady(() => {
      for (const key of whole) this.#renew(key);
      if (whole.length) this.#arrange();
      this.#earlier.toggleAttribute("hidden", !this.#state.more);
      this.#earlier.disabled = this.#loading;
    });
    if (this.#state.you && !this.#begun) this.#begin();
    this.#seek();
    if (focused && !focused.checkVisibility()) this.#refocus(focused);
  }

  get #focused() {
    const { activeElement } = this.element.getRootNode();
    return this.element.contains(activeElement) ? activeElement : null;
  }

  /** What had the focus is gone: it goes on at the alternative that was chosen, or to the log; unless somebody took it. */
  #refocus(lost) {
    const { activeElement } = this.element.getRootNode();
    if (activeElement !== null && activeElement !== lost) return;
    const chosen = messageOf(this.#state, this.#chosen);
    const view = chosen && this.#views.get(keyOf(this.#state, chosen));
    if (view) view.focusLike(lost);
    else this.element.focus({ preventScroll: true });
    this.#chosen = null;
  }

  /** The reader begins at the end, or where the unread does. */
  #begin() {
    this.#begun = true;
    this.scroller.toEnd();
    if (this.#lines.unread) this.scroller.from(this.#lines.unread, this.#state.yours.unread);
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
    if (!this.#views.has(key)) this.#views.set(key, new MessageView(this.#acts));
    const view = this.#views.get(key);
    const waiting = view.waiting;
    view.update(message, {
      you: this.#state.you,
      offered: key === this.#offered,
      resend: message === this.#asked(),
      quoted: messageOf(this.#state, message.reply_to),
      decisions: this.#state.decisions,
    });
    if (view.waiting > waiting) this.scroller.arrived();
    if (message.id && message.seq > this.#newest) {
      this.#newest = message.seq;
      if (!message.author || message.author.id !== this.#state.you.id) this.scroller.arrived();
    }
  }

  /** One's own message, if nobody has said anything after it: the agent can be asked again with another text. */
  #asked() {
    const last = lastOwn(this.#state);
    const newer = (message) => message.id && message.role === "user" && message.seq > last.seq && !message.deleted_at;
    return last && ![...this.#state.messages.values()].some(newer) ? last : null;
  }

  /** Puts every node where its seq belongs (what has none stands at the end); touches only those that are elsewhere. */
  #arrange() {
    const views = [...this.#views.values()].sort((one, other) => (one.seq === other.seq ? 0 : one.seq - other.seq));
    let previous = this.#earlier;
    let before = null;
    const place = (element) => {
      if (previous.nextSibling !== element) previous.after(element);
      previous = element;
    };
    this.#lines.begin();
    for (const view of views) {
      const lines = this.#lines.between(before, view);
      lines.forEach(place);
      place(view.element);
      view.lead(lines.length > 0 || before === null || apart(before, view));
      before = view;
    }
    this.#lines.end();
  }

  /** Goes to a message; if it is further up than what is loaded, that is loaded first. @param {string} id */
  reveal(id) {
    this.#sought = { id, pages: MOST_PAGES };
    this.#schedule();
  }

  #seek() {
    if (!this.#sought || !this.#begun || this.#loading) return;
    const element = this.#column.querySelector(`[data-message="${CSS.escape(this.#sought.id)}"]`);
    if (!element && this.#state.more && this.#sought.pages--) return this.#load();
    this.#sought = null;
    if (!element) return;
    this.scroller.to(element);
    element.setAttribute("tabindex", "-1");
    element.focus({ preventScroll: true }); // the person asked to be there
    element.toggleAttribute("data-found", true);
    setTimeout(() => element.removeAttribute("data-found"), FOUND_LASTS);
  }

  #load() {
    if (this.#loading || !this.#state.more) return;
    let oldest = Infinity;
    for (const message of this.#state.messages.values()) oldest = Math.min(oldest, message.seq);
    this.#loading = this.#onEarlier(oldest);
    this.#schedule();
  }
}

/** Does a new group begin? */
function apart(one, other) {
  return one.group !== other.group || new Date(other.at) - new Date(one.at) > GROUP;
}
