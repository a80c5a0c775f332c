// A WebSocket that reconnects: events come out as objects, commands go in as objects. It knows the close codes of
// docs/protocol.md and none of the frames' content. Used by conversation.js and, for the inbox, by nous-chat.js.

import { languageTag } from "../i18n/gettext.js";
import { parseJson } from "./json.js";

const FIRST_WAIT = 500; // ms, like all of these
const LONGEST_WAIT = 30_000;
const CROWDED_WAIT = 30_000;
const PING_EVERY = 25_000;
const PONG_WITHIN = 8_000;
const OPEN_WITHIN = 20_000; // some networks swallow a WebSocket's handshake
const SUSPECT_AFTER = 7_000; // without a connection: it may be one that WebSockets cannot pass
const STEADY_AFTER = 5_000; // a connection that ends before is another failure

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
 * @property {boolean} stuck        true if there has been no connection for SUSPECT_AFTER
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
  /** @type {Partial<Record<"retry"|"ping"|"pong"|"open"|"steady", ReturnType<typeof setTimeout>>>} */
  #timers = {};
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #suspicion;
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
    this.connection = { name: "connecting", code: null, restarting: false, retryAt: null, stuck: false };
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
    clearTimeout(this.#suspicion);
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

  /** Ends all attempts: something else than the socket has learned that they are useless. @param {number} code close code */
  end(code) {
    this.#release();
    this.#become("closed", { code });
  }

  /** Connects again after the server has closed the socket for good. */
  reopen() {
    if (this.connection.name === "closed") this.#connect();
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
    this.#timers.open = setTimeout(() => this.#closed(1006), OPEN_WITHIN);
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
      clearTimeout(this.#timers.open);
      this.#timers.steady = setTimeout(() => (this.#failures = 0), STEADY_AFTER);
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
    if (FINAL.has(code)) return this.end(code);
    this.#release();
    if (RESTART.has(code)) this.#restartSeconds ??= RESTART_SECONDS;
    const restarts = this.connection.name === "live" && this.#restartSeconds !== null;
    const wait = restarts ? this.#restartDelay : this.#retryDelay(code);
    this.#failures += 1;
    this.#become(this.#waiting(), { code, retryAt: Date.now() + wait });
    this.#timers.retry = setTimeout(() => this.#connect(), wait);
  }

  /** Milliseconds until the next attempt, as the server asked. The jitter keeps all browsers from coming back at once. */
  get #restartDelay() {
    return ((this.#restartSeconds ?? 0) + Math.random() / 2) * 1000;
  }

  /** Milliseconds until the next attempt: exponential backoff, with jitter. @param {number} code */
  #retryDelay(code) {
    const jitter = 0.5 + Math.random() / 2;
    if (code === 4429) return CROWDED_WAIT * jitter;
    return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures) * jitter;
  }

  #waiting() {
    return navigator.onLine ? "reconnecting" : "offline";
  }

  /** @param {Connection["name"]} name  @param {{code?: number|null, retryAt?: number|null}} [fields] */
  #become(name, { code = null, retryAt = null } = {}) {
    const over = name === "live" || name === "closed";
    if (over) clearTimeout(this.#suspicion);
    if (over) this.#suspicion = undefined;
    else this.#suspicion ??= setTimeout(() => this.#suspect(), SUSPECT_AFTER);
    const stuck = !over && this.connection.stuck;
    this.connection = { name, code, restarting: this.#restartSeconds !== null, retryAt, stuck };
    this.#onConnection(this.connection);
  }

  #suspect() {
    this.connection = { ...this.connection, stuck: true };
    this.#onConnection(this.connection);
  }
}
