// The documents of an open conversation: which one is open next to it. The editor (pane.js) is loaded when the first one is
// opened. Used by conversation.js.

import { strings } from "../i18n/strings.js";
import { site } from "../markdown/site.js";
import { el } from "../ui/dom.js";

/** @import { Ack, Document, ErrorEvent, Event } from "../protocol/types.d.ts" */

const ROOM = 820; // px for the conversation and a document next to it, as in nous-chat.css

export class Documents {
  #options;
  /** @type {import("./pane.js").DocumentPane|null} */
  #pane = null;
  /** @type {string|null} id of the document that should be open */
  #wanted = null;
  /** @type {HTMLElement|null} what had the focus before */
  #opener = null;
  #live = false;

  /**
   * @param {import("./context.js").Options & {leave: () => void, launched: (run: string) => boolean}} options
   *   `leave`: the focus has nowhere to go; `launched`: has the user started that run?
   */
  constructor(options) {
    this.#options = options;
    this.element = el("section", { class: "document", hidden: true, "aria-label": strings.document });
  }

  /** The id of the open document. */
  get open() {
    return this.#wanted;
  }

  /** Opens a document next to the conversation. @param {string} id  @param {{focus?: boolean}} [options] `focus`: the user asked for it */
  async show(id, { focus = true } = {}) {
    if (focus) this.#opener ??= focused(this.element);
    if (this.#wanted === id) return this.#pane?.focus();
    this.#close();
    this.#wanted = id;
    this.element.hidden = false;
    // On the parent, because `:has()` would make the browser restyle all messages with each delta.
    if (this.element.parentElement) this.element.parentElement.dataset.document = "side-by-side";
    this.element.replaceChildren(el("p", { class: "blank", role: "status" }, strings.loading));
    const [module] = await Promise.all([import("./pane.js").catch(() => null), this.#loadStyles()]);
    if (this.#wanted !== id) return; // closed, or another was opened
    if (!module) return this.#fail();
    this.#pane = new module.DocumentPane(id, this.element, { ...this.#options, close: () => this.close() });
    this.#pane.connected(this.#live);
    await this.#pane.load();
    if (focus) this.#pane?.focus();
  }

  /** Resolves when they are there, or cannot be loaded. */
  #loadStyles() {
    const root = /** @type {ShadowRoot|globalThis.Document} */ (this.element.getRootNode());
    if (!site.documentStyles || root.querySelector(`link[href="${site.documentStyles}"]`)) return;
    return new Promise((resolve) => {
      const link = { rel: "stylesheet", href: site.documentStyles, onload: resolve, onerror: resolve };
      root.querySelector("link")?.after(el("link", link));
    });
  }

  #fail() {
    this.#wanted = null;
    this.element.replaceChildren(el("p", { class: "problem", role: "alert" }, strings.unreachable));
  }

  close() {
    this.#close();
    this.#wanted = null;
    this.element.hidden = true;
    if (this.#opener?.isConnected) this.#opener.focus();
    else this.#options.leave();
    this.#opener = null;
  }

  #close() {
    this.#pane?.stop();
    this.#pane = null;
    delete this.element.parentElement?.dataset.document;
    this.element.replaceChildren();
  }

  stop() {
    this.#close();
    this.#wanted = null;
  }

  /** An event that has changed the state. @param {Event} event */
  receive(event) {
    if (event.type === "document.created") this.#follow(event.document);
    if (event.type === "document.deleted" && event.document === this.#wanted && !this.#pane) this.close();
    this.#pane?.receive(event);
  }

  /** Shows what an agent begins to write for the user, if there is room next to the conversation. @param {Document} document */
  #follow({ id, writing }) {
    const { state, launched } = this.#options;
    const room = (this.element.parentElement?.clientWidth ?? 0) >= ROOM;
    if (writing && !this.#wanted && room && launched(writing.run)) this.show(id, { focus: false });
    else if (id === this.#wanted && state.documents.has(id)) this.#pane?.load(); // no longer deleted
  }

  /** @param {Ack|ErrorEvent} reply  @returns {boolean} true if it answers a command about a document */
  handleReply(reply) {
    if (!reply.ref?.startsWith("document:")) return false;
    this.#pane?.handleReply(reply);
    return true;
  }

  /** @param {boolean} live */
  connected(live) {
    this.#live = live;
    this.#pane?.connected(live);
  }

  /** Called once a second. */
  tick() {
    this.#pane?.tick();
  }
}

/** @param {Element} element */
function focused(element) {
  const root = /** @type {ShadowRoot|globalThis.Document} */ (element.getRootNode());
  return /** @type {HTMLElement|null} */ (root.activeElement);
}
