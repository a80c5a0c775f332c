// What the server has not confirmed yet: the draft, and the commands that wait for their ack. Drafts and messages are in
// sessionStorage, so that they survive a reload. Used by commands.js.

/**
 * @import { Draft, MessageSend } from "./types.d.ts"
 * @import { Kept } from "./commands.js"
 */

/** The newest outbox of each key: an older one, whose upload ends late, must not overwrite its successor. */
const newest = new Map();

export class Outbox {
  #key;
  #storage = storage();
  /** @type {string|null} */
  #owner = null;
  /** @type {Map<string, Kept>} by ref */
  #commands = new Map();
  /** @type {Draft|null} */
  #draft = null;

  /** @param {string} conversation id */
  constructor(conversation) {
    this.#key = `nous-chat:${conversation}`;
    newest.set(this.#key, this);
  }

  /**
   * Restores what an earlier page stored, if it was the same user's.
   * @param {string} user id
   * @returns {boolean} false if it is open for this user already
   */
  open(user) {
    if (this.#owner === user) return false;
    if (this.#owner !== null) {
      // another user has signed in since
      this.#commands.clear();
      this.#draft = null;
    }
    this.#owner = user;
    const stored = this.#read();
    if (stored?.by === user) {
      this.#draft ??= stored.draft;
      const unsent = stored.unsent.map((/** @type {Kept} */ command) => /** @type {const} */ ([command.ref, command]));
      this.#commands = new Map([...unsent, ...this.#commands]);
    }
    this.#save();
    return true;
  }

  /** Null if nothing is written, attached or quoted. @returns {Draft|null} */
  get draft() {
    return this.#draft;
  }

  set draft(draft) {
    this.#draft = draft && (draft.text || draft.reply_to || draft.attachments.length) ? draft : null;
    this.#save();
  }

  /** Keeps a command until it is settled. @param {Kept} command */
  add(command) {
    this.#commands.set(command.ref, command);
    this.#save();
  }

  /** @param {string|null} ref */
  has(ref) {
    return this.#commands.has(ref ?? "");
  }

  /** @param {string|null} ref */
  get(ref) {
    return this.#commands.get(ref ?? "");
  }

  /** Removes an answered command and returns it. @param {string|null} ref */
  settle(ref) {
    const command = this.get(ref);
    if (this.#commands.delete(ref ?? "")) this.#save();
    return command;
  }

  /** In the order in which they were added. */
  get commands() {
    return [...this.#commands.values()];
  }

  /** @returns {MessageSend[]} */
  get messages() {
    return this.commands.filter((command) => command.type === "message.send");
  }

  #read() {
    try {
      return JSON.parse(this.#storage?.getItem(this.#key) ?? "null");
    } catch {
      return null;
    }
  }

  #save() {
    if (this.#owner === null || newest.get(this.#key) !== this) return;
    const empty = !this.#draft && this.messages.length === 0;
    const content = { by: this.#owner, draft: this.#draft, unsent: this.messages };
    try {
      if (empty) this.#storage?.removeItem(this.#key);
      else this.#storage?.setItem(this.#key, JSON.stringify(content));
    } catch {
      // The storage is full; this page still has it all.
    }
  }
}

/** Null if the browser forbids storage: then nothing survives a reload. */
function storage() {
  try {
    return globalThis.sessionStorage;
  } catch {
    return null;
  }
}

/** A random UUID. `crypto.randomUUID` exists only with HTTPS and on localhost. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
