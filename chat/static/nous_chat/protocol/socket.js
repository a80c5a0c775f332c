// A WebSocket that reconnects: events come out as objects, commands go in as objects. It knows the close codes of
// docs/protocol.md and none of the frames' content. Used by conversation.js and, for the inbox, by nous-chat.js.

import { languageTag } from "../i18n/gettext.js";
import { parseJson } from "./json.js";

const FIRST_WAIT = 500; // ms, like all of these
const LONGEST_WAIT = 30_000;
const CROWDED_WAIT = 30_000;
const PING_EVERY = 25_000;
const PONG_WITHIN = 8_000;

/** Close codes of a restarting server; daphne cannot send the first. */
const RESTART = new Set([1012, 4012]);
const RESTART_SECONDS = 1; // if the `closing` event was lost

/** Close codes after which reconnecting is useless until the user has done something. */
const FINAL = new Set([4401, 4403, 4404]);

/**
 * @typedef {object} Connection
 * @property {"connecting"|"live"|"reconnecting"|"offline"|"closed"} name
 * @property {number|null} code     the last close code
 * @property {boolean} restarting   true if the server is restarting
 * @property {number|null} retryAt  time of the next attempt, in ms since 1970; null while one is running
 */

export class Socket {
  #url;
  #onEvent;
  #onConnection;
  /** @type {WebSocket|null} */
  #socket = null;
  #failures = 0;
  /** @type {number|null} seconds that a restarting server asked the page to wait */
  #restartSeconds = null;
  /** @type {Record<"retry"|"ping"|"pong", ReturnType<typeof setTimeout>|undefined>} */
  #timers = { retry: undefined, ping: undefined, pong: undefined };
  #networkChanged = () => (navigator.onLine ? this.reconnect() : this.#ping());
  #visibilityChanged = () => document.visibilityState === "visible" && this.#ping();

  /**
   * @param {string} url path or absolute
   * @param {{onEvent: (event: any) => void, onConnection: (connection: Connection) => void}} listeners
   */
  constructor(url, { onEvent, onConnection }) {
    this.#url = new URL(url, location.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#url.searchParams.set("language", languageTag());
    this.#onEvent = onEvent;
    this.#onConnection = onConnection;
    /** @type {Connection} */
    this.connection = { name: "connecting", code: null, restarting: false, retryAt: null };
  }

  open() {
    addEventListener("online", this.#networkChanged);
    addEventListener("offline", this.#networkChanged);
    document.addEventListener("visibilitychange", this.#visibilityChanged);
    this.#connect();
  }

  close() {
    removeEventListener("online", this.#networkChanged);
    removeEventListener("offline", this.#networkChanged);
    document.removeEventListener("visibilitychange", this.#visibilityChanged);
    this.#release();
  }

  /**
   * Sends a command. Lone surrogates, which JSON decoders may reject, become U+FFFD.
   * @param {object} command
   * @returns {boolean} false if the connection is not live
   */
  send(command) {
    if (this.connection.name !== "live" || !this.#socket) return false;
    this.#socket.send(JSON.stringify(command, (_, value) => value?.toWellFormed?.() ?? value));
    return true;
  }

  /** Reconnects now instead of at `connection.retryAt`. */
  reconnect() {
    if (this.connection.retryAt === null) return;
    this.#connect();
  }

  #connect() {
    this.#release();
    const first = this.#failures === 0 && this.connection.name === "connecting";
    this.#become(first ? "connecting" : this.#waiting(), { code: this.connection.code });
    const socket = (this.#socket = new WebSocket(this.#url));
    socket.onmessage = ({ data }) => this.#receive(parseJson(data));
    socket.onclose = ({ code }) => this.#closed(code);
  }

  /** Drops the current socket; it triggers no more callbacks. */
  #release() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    if (!this.#socket) return;
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  /** @param {any} event */
  #receive(event) {
    clearTimeout(this.#timers.pong);
    if (this.connection.name !== "live") {
      this.#failures = 0;
      this.#restartSeconds = null;
      this.#become("live");
      this.#timers.ping = setTimeout(() => this.#ping(), PING_EVERY);
    }
    if (event.type === "closing") this.#restartSeconds = event.reconnect_in;
    if (event.type !== "pong") this.#onEvent(event);
  }

  /** Checks that the connection still works: without a pong in time, it counts as lost. */
  #ping() {
    clearTimeout(this.#timers.ping);
    if (!this.send({ type: "ping" })) return;
    this.#timers.ping = setTimeout(() => this.#ping(), PING_EVERY);
    clearTimeout(this.#timers.pong);
    this.#timers.pong = setTimeout(() => this.#closed(1006), PONG_WITHIN);
  }

  /** @param {number} code */
  #closed(code) {
    this.#release();
    if (FINAL.has(code)) return this.#become("closed", { code });
    if (RESTART.has(code)) this.#restartSeconds ??= RESTART_SECONDS;
    const wait = this.#retryDelay(code);
    this.#failures += 1;
    this.#become(this.#waiting(), { code, retryAt: Date.now() + wait });
    this.#timers.retry = setTimeout(() => this.#connect(), wait);
  }

  /**
   * Milliseconds until the next attempt: what the server asked for, else exponential backoff. The jitter keeps all
   * browsers from coming back at once.
   * @param {number} code
   */
  #retryDelay(code) {
    const jitter = 0.5 + Math.random() / 2;
    if (this.#restartSeconds !== null && this.#failures === 0) return (this.#restartSeconds + 1 - jitter) * 1000;
    if (code === 4429) return CROWDED_WAIT * jitter;
    return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures) * jitter;
  }

  #waiting() {
    return navigator.onLine ? "reconnecting" : "offline";
  }

  /** @param {Connection["name"]} name  @param {{code?: number|null, retryAt?: number|null}} [fields] */
  #become(name, { code = null, retryAt = null } = {}) {
    this.connection = { name, code, restarting: this.#restartSeconds !== null, retryAt };
    this.#onConnection(this.connection);
  }
}
