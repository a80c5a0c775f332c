// The thin bar that says how the connection is, when it is not as it should be: what happened, what will happen by
// itself, and what the person can do; or what the server is without. Called by conversation.js.

import { words } from "../i18n/strings.js";
import { el, quietButton } from "../ui/dom.js";

export class Bar {
  #text;
  #action;
  #login;
  #now;
  #timer = 0;

  /** @param {{login: string, onNow: () => void}} options where to sign in; "Reconnect now" was pressed */
  constructor({ login, onNow }) {
    this.#login = login;
    this.#text = el("span");
    this.#action = el("span");
    this.#now = quietButton(words.reconnectNow, onNow);
    this.element = el("div", { class: "bar", hidden: true }, this.#text, this.#action);
  }

  /**
   * @param {import("../protocol/socket.js").Connection} connection
   * @param {string} [outage] what the server says of itself, a sentence
   */
  show(connection, outage = "") {
    clearInterval(this.#timer);
    const fine = connection.name === "live" || connection.name === "connecting";
    this.element.hidden = fine && !outage;
    this.element.dataset.tone = connection.name === "closed" ? "bad" : "warn";
    this.#text.textContent = outage;
    if (fine) return this.#action.replaceChildren();
    this.#tell(connection);
    if (connection.at !== null) this.#timer = setInterval(() => this.#tell(connection), 1000);
    this.#action.replaceChildren(...[this.#actionFor(connection)].filter(Boolean));
  }

  stop() {
    clearInterval(this.#timer);
  }

  #tell(connection) {
    this.#text.textContent = sentenceFor(connection);
  }

  #actionFor({ code, at }) {
    if (code === 4401) {
      const next = encodeURIComponent(location.pathname + location.search);
      return el("a", { class: "quiet", href: `${this.#login}?next=${next}` }, words.signIn);
    }
    return at === null ? null : this.#now;
  }
}

/** @param {import("../protocol/socket.js").Connection} connection */
export function sentenceFor({ name, code, restarting, at }) {
  if (name === "closed") return { 4401: words.signedOut, 4403: words.removed, 4404: words.missing }[code];
  if (name === "offline") return words.offline;
  const seconds = at === null ? 0 : Math.max(0, Math.ceil((at - Date.now()) / 1000));
  if (restarting) return seconds ? words.restartingIn(seconds) : words.restarting;
  if (code === 4408) return words.tooSlow;
  if (code === 4429 && seconds) return words.crowded(seconds);
  return seconds ? words.reconnectingIn(seconds) : words.reconnecting;
}
