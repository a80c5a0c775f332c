// Where the reader is in the conversation: at the end it follows, away from the end nothing moves under his eyes and a
// button says how much is new. Called by messages.js before and after it changes the page.

import { words } from "../i18n/strings.js";
import { el, icon } from "../ui/dom.js";

const NEAR_TOP = 240;
const ABOVE = 48; // px of what was read before, when one begins at the unread

export class Scroller {
  #viewport;
  #column;
  #onTop;
  #observer;
  #following = true;
  #unseen = 0;
  #top = 0;
  #width = 0;

  /**
   * @param {HTMLElement} viewport scrolls
   * @param {HTMLElement} column grows in it; its children are the messages
   * @param {() => void} onTop called when the reader nears the beginning
   */
  constructor(viewport, column, onTop) {
    this.#viewport = viewport;
    this.#column = column;
    this.#onTop = onTop;
    this.#observer = new ResizeObserver(() => {
      if (this.#following) this.#pin();
      if (this.#width !== column.clientWidth) this.#wrap(true);
      this.#width = column.clientWidth;
    });
    this.label = el("span");
    this.button = el(
      "button",
      { type: "button", class: "to-end", hidden: true, onclick: () => this.toEnd() },
      this.label,
      icon("down"),
    );
    viewport.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#show();
  }

  start() {
    this.#observer.observe(this.#viewport);
    this.#observer.observe(this.#column);
  }

  stop() {
    this.#observer.disconnect();
  }

  toEnd() {
    this.#following = true;
    this.#pin();
    this.#show();
  }

  /** The reader begins there, if it is above what he would see at the end. @param {Element} element  @param {number} unseen */
  from(element, unseen) {
    const edge = this.#viewport.getBoundingClientRect().top;
    const { top } = element.getBoundingClientRect();
    if (top >= edge) return;
    this.#following = false;
    this.#unseen = unseen;
    this.#viewport.scrollTop += top - edge - ABOVE;
    this.#top = this.#viewport.scrollTop;
    this.#show();
  }

  /** The reader goes to that element. */
  to(element) {
    this.#following = false;
    element.scrollIntoView({ block: "center" });
    this.#scrolled();
  }

  /** Does the reader see the end? */
  get atEnd() {
    return this.#following;
  }

  /** A new message stands at the end. */
  arrived() {
    if (this.#following) return;
    this.#unseen += 1;
    this.#show();
  }

  /** Changes the page; the line at the top of the window stays where it is. @param {() => void} change */
  steady(change) {
    if (this.#following) return change();
    const edge = this.#viewport.getBoundingClientRect().top;
    const anchor = [...this.#column.querySelectorAll("article")].find(
      (each) => each.getBoundingClientRect().bottom > edge,
    );
    const before = anchor?.getBoundingClientRect().top;
    change();
    if (anchor?.isConnected) this.#viewport.scrollTop += anchor.getBoundingClientRect().top - before;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#viewport;
    const left = scrollHeight - scrollTop - clientHeight;
    if (scrollTop < this.#top && left > 1) this.#following = false;
    else if (left < 24) this.#following = true;
    this.#top = scrollTop;
    this.#show();
    if (!this.#following && scrollTop < NEAR_TOP) this.#onTop();
  }

  /** In another width, what is out of sight has another height (idle.js): for a frame all is laid out. */
  #wrap(on) {
    requestAnimationFrame(() => {
      this.#column.toggleAttribute("data-wrapping", on);
      if (on) this.#wrap(false);
    });
  }

  #pin() {
    this.#viewport.scrollTop = this.#viewport.scrollHeight;
    this.#top = this.#viewport.scrollTop;
  }

  #show() {
    if (this.#following) this.#unseen = 0;
    this.button.toggleAttribute("hidden", this.#following);
    this.button.toggleAttribute("data-unseen", this.#unseen > 0);
    const said = this.#unseen ? words.unseen(this.#unseen) : words.toEnd;
    if (said !== this.label.textContent) this.label.textContent = said; // not at each step: a new text is laid out
  }
}
