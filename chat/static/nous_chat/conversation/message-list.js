// The list of messages: one view for each key, updated once per animation frame, however many frames of the wire came in
// between. conversation.js passes on the changes of reducer.js; the list reads the state and never changes it.

import { strings } from "../i18n/strings.js";
import { MessageView } from "../message/message.js";
import { isShown, keyOf, lastOwnMessage, messageById } from "../protocol/reducer.js";
import { el, textButton } from "../ui/dom.js";
import { markWords } from "./marks.js";
import { Scroller } from "./scroll.js";
import { Separators } from "./separators.js";

/** @import { Message, State } from "../protocol/types.d.ts" */

const DRAW_EVERY = 30; // ms between drawings of growing text: nobody reads faster, and each one costs a layout
const HIGHLIGHT_TIME = 1500; // ms
const MOST_PAGES = 40; // of history loaded to find a message
const GROUP_PAUSE = 10 * 60_000; // ms; after a longer pause the name and the time are shown again

export class MessageList {
  #state;
  #column;
  #earlier;
  #acts;
  #onEarlier;
  #separators;
  /** @type {Map<string, MessageView>} by key */
  #views = new Map();
  /** @type {Map<string, "whole"|{part: "text"|"thinking", text: string}>} what to redraw, or to append, by key */
  #changed = new Map();
  #frame = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} until the next drawing of growing text */
  #timer;
  #drawnAt = -Infinity;
  #newestSeq = 0;
  /** @type {(string|null)[]} keys of the answer that can be retried or continued, and of the question that can be sent again */
  #offered = [];
  #loading = false;
  /** @type {string|null} id of the alternative that the user has chosen */
  #chosen = null;
  /** @type {{id: string, words: string[], pages: number}|null} a message to go to, what to mark in it, and how many pages may be loaded for it */
  #target = null;
  #started = false;

  /**
   * @param {State} state
   * @param {object} options
   * @param {HTMLElement} options.footer follows the last message
   * @param {import("../message/message.js").Acts} options.acts
   * @param {(before: number) => boolean} options.onEarlier requests older messages; returns false if it could not
   */
  constructor(state, { footer, acts, onEarlier }) {
    this.#state = state;
    this.#acts = {
      ...acts,
      open: (/** @type {string} */ id) => this.reveal(id),
      choose: (/** @type {string} */ id) => {
        this.#chosen = id;
        acts.choose(id);
      },
    };
    this.#onEarlier = onEarlier;
    this.#separators = new Separators(state);
    const attributes = { class: "text-button earlier", hidden: true };
    this.#earlier = textButton(strings.earlier, () => this.#load(), attributes);
    this.#column = el("div", { class: "column" }, this.#earlier, footer);
    this.element = el(
      "div",
      { class: "log", role: "log", "aria-live": "off", "aria-label": strings.messages, tabindex: "0" },
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
    const changed = this.#changed.get(key) ?? { part, text: "" };
    if (changed === "whole") return; // it is drawn from the state, which has the text
    if (changed.part !== part) return this.put(key);
    this.#changed.set(key, { part, text: changed.text + text });
    this.#timer ||= setTimeout(() => this.#schedule(), this.#drawnAt + DRAW_EVERY - performance.now());
  }

  /**
   * @param {string|null} answer key of the answer that can be retried or continued now
   * @param {string|null} question key of the user's message that can be edited and sent again now
   */
  offer(answer, question) {
    const offered = [answer, question];
    offered.forEach((key, index) => {
      const before = this.#offered[index];
      if (key !== before) for (const each of [before, key]) if (each) this.put(each);
    });
    this.#offered = offered;
  }

  /** Opens the user's last message for editing. @returns {boolean} false if there is none */
  editLast() {
    const last = lastOwnMessage(this.#state);
    const view = last && this.#views.get(keyOf(this.#state, last));
    view?.edit();
    return Boolean(view);
  }

  /** Shows why a change of a message was refused. @param {string} id  @param {string} sentence  @returns {boolean} false if it is not shown */
  refused(id, sentence) {
    const message = messageById(this.#state, id);
    return (message && this.#views.get(keyOf(this.#state, message))?.refused(sentence)) ?? false;
  }

  /** Older messages have been loaded, or could not be. */
  loaded() {
    this.#loading = false;
    this.#schedule();
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  #render() {
    this.#frame = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#drawnAt = performance.now();
    const focused = this.#focused;
    /** @type {string[]} */
    const whole = [];
    for (const [key, change] of this.#changed) {
      if (change === "whole") whole.push(key);
      else this.#grow(key, change);
    }
    this.#changed.clear();
    whole.push(...this.#repliesTo(whole));
    this.scroller.keepPlace(() => {
      for (const key of whole) this.#update(key);
      if (whole.length) this.#arrange();
      this.#earlier.toggleAttribute("hidden", !this.#state.more);
      this.#earlier.disabled = this.#loading;
    });
    if (this.#state.you && !this.#started) this.#start();
    this.#seek();
    if (focused && !focused.checkVisibility()) this.#refocus(focused);
  }

  /** Keys of the messages that quote one of these. @param {string[]} keys */
  #repliesTo(keys) {
    const { messages } = this.#state;
    const ids = new Set(keys.map((key) => messages.get(key)?.id));
    const replies = [...messages].filter(([, { reply_to }]) => reply_to && ids.has(reply_to));
    return replies.map(([key]) => key).filter((key) => !keys.includes(key));
  }

  get #root() {
    return /** @type {Document|ShadowRoot} */ (this.element.getRootNode());
  }

  get #focused() {
    const { activeElement } = this.#root;
    return activeElement && this.element.contains(activeElement) ? activeElement : null;
  }

  /**
   * Moves the focus on if its element is gone: to the alternative that was chosen, or to the list; unless it has been
   * moved already.
   * @param {Element} lost
   */
  #refocus(lost) {
    const { activeElement } = this.#root;
    if (activeElement !== null && activeElement !== lost) return;
    const chosen = messageById(this.#state, this.#chosen);
    const view = chosen && this.#views.get(keyOf(this.#state, chosen));
    if (view) view.focusLike(lost);
    else this.element.focus({ preventScroll: true });
    this.#chosen = null;
  }

  /** Goes to the end, or to where the unread messages begin. */
  #start() {
    this.#started = true;
    this.scroller.toEnd();
    if (this.#separators.unread) this.scroller.startAt(this.#separators.unread, this.#state.yours?.unread ?? 0);
  }

  /** @param {string} key  @param {{part: "text"|"thinking", text: string}} added */
  #grow(key, { part, text }) {
    const message = this.#state.messages.get(key);
    if (message) this.#views.get(key)?.append(part, text, message);
  }

  /** @param {string} key */
  #update(key) {
    const message = this.#state.messages.get(key);
    let view = this.#views.get(key);
    if (!message || !isShown(this.#state, message.id)) {
      view?.element.remove();
      this.#views.delete(key);
      return;
    }
    if (!view) this.#views.set(key, (view = new MessageView(this.#acts)));
    const approvals = view.approvals;
    view.update(message, {
      you: this.#state.you,
      offered: key === this.#offered[0],
      resend: key === this.#offered[1],
      quoted: messageById(this.#state, message.reply_to),
      state: this.#state,
    });
    if (view.approvals > approvals) this.scroller.countUnseen();
    if (message.id && message.seq > this.#newestSeq) {
      this.#newestSeq = message.seq;
      if (!message.author || message.author.id !== this.#state.you?.id) this.scroller.countUnseen();
    }
  }

  /** Sorts the views by seq (unsent messages come last); moves only those that are out of place. */
  #arrange() {
    const views = [...this.#views.values()].sort((one, other) => (one.seq === other.seq ? 0 : one.seq - other.seq));
    /** @type {HTMLElement} */
    let previous = this.#earlier;
    /** @type {MessageView|null} */
    let before = null;
    const place = (/** @type {HTMLElement} */ element) => {
      if (previous.nextSibling !== element) previous.after(element);
      previous = element;
    };
    this.#separators.begin();
    for (const view of views) {
      const separators = this.#separators.between(before, view);
      separators.forEach(place);
      place(view.element);
      view.startsGroup(separators.length > 0 || before === null || beginsGroup(before, view));
      before = view;
    }
    this.#separators.end();
  }

  /** Goes to a message; older messages are loaded until it is found. @param {string} id  @param {string[]} [words] to mark in it */
  reveal(id, words = []) {
    this.#target = { id, words, pages: MOST_PAGES };
    this.#schedule();
  }

  #seek() {
    if (!this.#target || !this.#started || this.#loading) return;
    /** @type {HTMLElement|null} */
    const element = this.#column.querySelector(`[data-message="${CSS.escape(this.#target.id)}"]`);
    if (!element && this.#state.more && this.#target.pages--) return this.#load();
    const { words } = this.#target;
    this.#target = null;
    if (!element) return;
    this.scroller.scrollTo(element);
    const found = markWords(element, words);
    if (found) requestAnimationFrame(() => this.scroller.scrollToRange(found)); // its place is known once it is laid out
    element.setAttribute("tabindex", "-1");
    element.focus({ preventScroll: true }); // the user asked to go there
    element.toggleAttribute("data-found", true);
    setTimeout(() => element.removeAttribute("data-found"), HIGHLIGHT_TIME);
  }

  #load() {
    if (this.#loading || !this.#state.more) return;
    let oldest = Infinity;
    for (const message of this.#state.messages.values()) oldest = Math.min(oldest, message.seq);
    this.#loading = this.#onEarlier(oldest);
    this.#schedule();
  }
}

/** @param {MessageView} one  @param {MessageView} other */
function beginsGroup(one, other) {
  const time = (/** @type {MessageView} */ { at }) => Number(new Date(at ?? 0));
  return one.group !== other.group || time(other) - time(one) > GROUP_PAUSE;
}
