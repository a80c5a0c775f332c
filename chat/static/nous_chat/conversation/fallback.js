// The page for browsers without JavaScript, shown in a network that WebSockets cannot pass: the messages as of when the
// page was loaded, and a form that posts another one. The server rendered it into the element. Used by nous-chat.js.

import { strings } from "../i18n/strings.js";
import { el, textButton } from "../ui/dom.js";

const KEY = "nous-chat:no-socket"; // in sessionStorage, so that the next page need not find it out again

export class Fallback {
  #host;
  /** @type {string|null} the conversation that it shows */
  #conversation;
  #wasLive = false;

  /** @param {HTMLElement} host the <nous-chat> */
  constructor(host) {
    this.#host = host;
    this.#conversation = host.getAttribute("conversation");
    const reload = textButton(strings.reload, () => location.reload());
    const notice = el("p", { class: "fallback-notice", role: "status" }, strings.noSocket, " ", reload);
    this.element = el("div", { class: "fallback", hidden: true }, notice, el("slot"));
  }

  get shown() {
    return !this.element.hidden;
  }

  /** True if an earlier page found that WebSockets cannot pass. */
  get expected() {
    return stored()?.getItem(KEY) === "1";
  }

  /**
   * Shows the page, unless it is older than what the user sees already.
   * @param {{text: string}|null} draft what the user has written; follows what they change in the form
   * @returns {boolean} false if it cannot be shown here, but after a reload
   */
  show(draft) {
    stored()?.setItem(KEY, "1");
    if (this.#wasLive || this.#host.getAttribute("conversation") !== this.#conversation) return false;
    this.element.hidden = false;
    /** @type {HTMLTextAreaElement|null} */
    const field = this.#host.querySelector("#say textarea");
    if (!field || !draft) return true;
    const sent = [...this.#host.querySelectorAll("article[data-role='user'] .text")].at(-1)?.textContent ?? "";
    if (draft.text.trim() === sent.trim()) draft.text = ""; // the form has posted it
    field.value ||= draft.text;
    field.addEventListener("input", () => (draft.text = field.value));
    return true;
  }

  /** A WebSocket has opened. */
  hide() {
    this.#wasLive = true;
    this.element.hidden = true;
    stored()?.removeItem(KEY);
  }
}

/** Null if the browser forbids storage. */
function stored() {
  try {
    return globalThis.sessionStorage;
  } catch {
    return null;
  }
}
