// Keeps the user's place: at the end the page follows new text, elsewhere nothing moves and a button counts what is new.
// message-list.js calls it around each change of the page.

import { strings } from "../i18n/strings.js";
import { el, icon } from "../ui/dom.js";

const NEAR_TOP = 240; // px
const CONTEXT = 48; // px of read messages that stay visible above the unread ones

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
   * @param {() => void} onTop called when the user nears the beginning
   */
  constructor(viewport, column, onTop) {
    this.#viewport = viewport;
    this.#column = column;
    this.#onTop = onTop;
    this.#observer = new ResizeObserver(() => {
      if (this.#following) this.#pin();
      if (this.#width !== column.clientWidth) this.#relayout(true);
      this.#width = column.clientWidth;
    });
    this.label = el("span");
    this.button = el(
      "button",
      { type: "button", class: "jump-to-latest", hidden: true, onclick: () => this.toEnd() },
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

  /** Starts at an element, if it is above what is visible at the end. @param {Element} element  @param {number} unseen */
  startAt(element, unseen) {
    const edge = this.#viewport.getBoundingClientRect().top;
    const { top } = element.getBoundingClientRect();
    if (top >= edge) return;
    this.#following = false;
    this.#unseen = unseen;
    this.#viewport.scrollTop += top - edge - CONTEXT;
    this.#top = this.#viewport.scrollTop;
    this.#show();
  }

  /** @param {Element} element */
  scrollTo(element) {
    this.#following = false;
    element.scrollIntoView({ block: "center" });
    this.#scrolled();
  }

  /** Scrolls so that a range of text is in the middle. @param {Range} range */
  scrollToRange(range) {
    range.startContainer.parentElement?.scrollIntoView({ block: "nearest" }); // it may scroll inside of a block
    const { top, height } = this.#viewport.getBoundingClientRect();
    this.#viewport.scrollTop += range.getBoundingClientRect().top - top - height / 2;
    this.#scrolled();
  }

  /** True if the user sees the end. */
  get atEnd() {
    return this.#following;
  }

  /** Counts a new message at the end, unless the user sees it. */
  countUnseen() {
    if (this.#following) return;
    this.#unseen += 1;
    this.#show();
  }

  /** Changes the page and keeps the topmost visible message where it is. @param {() => void} change */
  keepPlace(change) {
    if (this.#following) return change();
    const edge = this.#viewport.getBoundingClientRect().top;
    const anchor = [...this.#column.querySelectorAll("article")].find(
      (each) => each.getBoundingClientRect().bottom > edge,
    );
    const before = anchor?.getBoundingClientRect().top ?? 0;
    change();
    if (anchor?.isConnected) this.#viewport.scrollTop += anchor.getBoundingClientRect().top - before;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#viewport;
    const remaining = scrollHeight - scrollTop - clientHeight;
    if (scrollTop < this.#top && remaining > 1) this.#following = false;
    else if (remaining < 24) this.#following = true;
    this.#top = scrollTop;
    this.#show();
    if (!this.#following && scrollTop < NEAR_TOP) this.#onTop();
  }

  /**
   * Lays out every message for one frame: at another width the remembered sizes of skipped ones are wrong (idle.js).
   * @param {boolean} on
   */
  #relayout(on) {
    requestAnimationFrame(() => {
      this.#column.toggleAttribute("data-relayout", on);
      if (on) this.#relayout(false);
    });
  }

  #pin() {
    // An empty conversation begins with its greeting, also where there is no room for all of it.
    this.#viewport.scrollTop = this.#column.querySelector("article") ? this.#viewport.scrollHeight : 0;
    this.#top = this.#viewport.scrollTop;
  }

  #show() {
    if (this.#following) this.#unseen = 0;
    this.button.toggleAttribute("hidden", this.#following);
    this.button.toggleAttribute("data-unseen", this.#unseen > 0);
    const label = this.#unseen ? strings.unseen(this.#unseen) : strings.toEnd;
    if (label !== this.label.textContent) this.label.textContent = label; // not on every scroll event: it costs a layout
  }
}
