// One WebSocket that stays: events go out as objects, commands come in as objects, and whatever breaks in between is
// mended here. Knows the close codes of docs/protocol.md and nothing of what the frames mean. Used by conversation.js
// and, for the inbox, by nous-chat.js.

import { tag } from "../i18n/gettext.js";
import { parse } from "./json.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
const CROWDED_WAIT = 30_000;
const PING_EVERY = 25_000;
const PONG_WITHIN = 8_000;

/** Close codes of a server that restarts; daphne cannot send the first. */
const RESTART = new Set([1012, 4012]);
const RESTART_SECONDS = 1; // where its `closing` did not arrive

/** Close codes after which trying again is no use until the person has done something. */
const FINAL = new Set([4401, 4403, 4404]);

/**
 * @typedef {object} Connection
 * @property {"connecting"|"live"|"reconnecting"|"offline"|"closed"} name
 * @property {number|null} code    the close code, if there was one
 * @property {boolean} restarting  is the server restarting?
 * @property {number|null} at      when the next try comes, in ms since 1970; null while trying
 */

export class Socket {
  #url;
  #onEvent;
  #onConnection;
  #socket = null;
  #failures = 0;
  #announced = null; // the seconds that a restarting server asked for
  #timers = { wait: 0, ping: 0, pong: 0 };
  #online = () => (navigator.onLine ? this.reconnect() : this.#ping());
  #visible = () => document.visibilityState === "visible" && this.#ping();

  /**
   * @param {string} url path or absolute
   * @param {{onEvent: (event: object) => void, onConnection: (connection: Connection) => void}} listeners
   */
  constructor(url, { onEvent, onConnection }) {
    this.#url = new URL(url, location.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#url.searchParams.set("language", tag());
    this.#onEvent = onEvent;
    this.#onConnection = onConnection;
    this.connection = { name: "connecting", code: null, restarting: false, at: null };
  }

  open() {
    addEventListener("online", this.#online);
    addEventListener("offline", this.#online);
    document.addEventListener("visibilitychange", this.#visible);
    this.#connect();
  }

  close() {
    removeEventListener("online", this.#online);
    removeEventListener("offline", this.#online);
    document.removeEventListener("visibilitychange", this.#visible);
    this.#release();
  }

  /** Sends if live; says whether it did. Half a character, which no JSON decoder has to take, becomes a �. */
  send(command) {
    if (this.connection.name !== "live") return false;
    this.#socket.send(JSON.stringify(command, (_, value) => value?.toWellFormed?.() ?? value));
    return true;
  }

  /** Tries now instead of at `connection.at`. */
  reconnect() {
    if (this.connection.at === null) return;
    this.#connect();
  }

  #connect() {
    this.#release();
    const first = this.#failures === 0 && this.connection.name === "connecting";
    this.#become(first ? "connecting" : this.#waiting(), { code: this.connection.code });
    const socket = (this.#socket = new WebSocket(this.#url));
    socket.onmessage = ({ data }) => this.#receive(parse(data));
    socket.onclose = ({ code }) => this.#closed(code);
  }

  /** Lets go of the present socket: nothing of it is heard any more. */
  #release() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    if (!this.#socket) return;
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  #receive(event) {
    clearTimeout(this.#timers.pong);
    if (this.connection.name !== "live") {
      this.#failures = 0;
      this.#announced = null;
      this.#become("live");
      this.#timers.ping = setTimeout(() => this.#ping(), PING_EVERY);
    }
    if (event.type === "closing") this.#announced = event.reconnect_in;
    if (event.type !== "pong") this.#onEvent(event);
  }

  #ping() {
    clearTimeout(this.#timers.ping);
    if (!this.send({ type: "ping" })) return;
    this.#timers.ping = setTimeout(() => this.#ping(), PING_EVERY);
    clearTimeout(this.#timers.pong);
    this.#timers.pong = setTimeout(() => this.#closed(1006), PONG_WITHIN);
  }

  #closed(code) {
    this.#release();
    if (FINAL.has(code)) return this.#become("closed", { code });
    if (RESTART.has(code)) this.#announced ??= RESTART_SECONDS;
    const wait = this.#wait(code);
    this.#failures += 1;
    this.#become(this.#waiting(), { code, at: Date.now() + wait });
    this.#timers.wait = setTimeout(() => this.#connect(), wait);
  }

  /** Milliseconds until the next try: what the server asked for, else longer each time; never all browsers at once. */
  #wait(code) {
    const spread = 0.5 + Math.random() / 2;
    if (this.#announced !== null && this.#failures === 0) return (this.#announced + 1 - spread) * 1000;
    if (code === 4429) return CROWDED_WAIT * spread;
    return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures) * spread;
  }

  #waiting() {
    return navigator.onLine ? "reconnecting" : "offline";
  }

  #become(name, { code = null, at = null } = {}) {
    this.connection = { name, code, restarting: this.#announced !== null, at };
    this.#onConnection(this.connection);
  }
}
