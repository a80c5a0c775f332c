// The bar that appears when something is wrong with the connection or the server: what happened, what will happen next,
// and what the user can do. Used by conversation.js and nous-chat.js.

import { strings } from "../i18n/strings.js";
import { el, textButton } from "../ui/dom.js";

/** @import { Connection } from "../protocol/socket.js" */

export class ConnectionBar {
  #text;
  #action;
  #login;
  #reconnect;
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #countdown;

  /** @param {{login: string, onReconnect: () => void}} options `login` is the URL of the sign-in page */
  constructor({ login, onReconnect }) {
    this.#login = login;
    this.#text = el("span");
    this.#action = el("span");
    this.#reconnect = textButton(strings.reconnectNow, onReconnect);
    this.element = el("div", { class: "connection-bar", hidden: true }, this.#text, this.#action);
  }

  /**
   * @param {Connection} connection
   * @param {string} [outage] what the server says about its outages
   * @param {boolean} [blocked] true if WebSockets cannot pass
   */
  show(connection, outage = "", blocked = false) {
    clearInterval(this.#countdown);
    const connected = connection.name === "live" || connection.name === "connecting";
    this.element.hidden = connected && !outage;
    this.element.dataset.tone = connection.name === "closed" ? "bad" : "warn";
    this.#text.textContent = outage;
    if (blocked) {
      this.element.hidden = false;
      this.#text.textContent = strings.noSocket;
      return this.#action.replaceChildren(textButton(strings.reload, () => location.reload()));
    }
    if (connected) return this.#action.replaceChildren();
    this.#describe(connection);
    if (connection.retryAt !== null) this.#countdown = setInterval(() => this.#describe(connection), 1000);
    const action = this.#actionFor(connection);
    this.#action.replaceChildren(...(action ? [action] : []));
  }

  stop() {
    clearInterval(this.#countdown);
  }

  /** @param {Connection} connection */
  #describe(connection) {
    this.#text.textContent = connectionText(connection);
  }

  /** @param {Connection} connection */
  #actionFor({ code, retryAt }) {
    if (code === 4401) {
      const next = encodeURIComponent(location.pathname + location.search);
      return el("a", { class: "text-button", href: `${this.#login}?next=${next}` }, strings.signIn);
    }
    return retryAt === null ? null : this.#reconnect;
  }
}

/** @type {Record<number, () => string>} by close code */
const CLOSED = { 4401: () => strings.signedOut, 4403: () => strings.removed, 4404: () => strings.missing };

/** @param {Connection} connection */
export function connectionText({ name, code, restarting, retryAt }) {
  if (name === "closed") return CLOSED[code ?? 0]?.() ?? "";
  if (name === "offline") return strings.offline;
  const seconds = retryAt === null ? 0 : Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  if (restarting) return seconds ? strings.restartingIn(seconds) : strings.restarting;
  if (code === 4408) return strings.tooSlow;
  if (code === 4429 && seconds) return strings.crowded(seconds);
  return seconds ? strings.reconnectingIn(seconds) : strings.reconnecting;
}
