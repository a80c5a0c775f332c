// What the person wrote and the server has not confirmed: the draft, with its files and what it answers, and the commands
// that wait for their ack. Kept in sessionStorage, so that neither a reload nor a lost connection loses a word. Called by conversation.js.

const newest = new Map(); // by key; an older one, for which a file comes late, writes no more

export class Outbox {
  #key;
  #storage = storage();
  #by = null;
  #commands = new Map(); // by ref
  #draft = null;

  /** @param {string} conversation its id */
  constructor(conversation) {
    this.#key = `nous-chat:${conversation}`;
    newest.set(this.#key, this);
  }

  /**
   * Takes up what an earlier page left, if it was the same person's.
   * @param {string} by the person's id
   * @returns {boolean} false if this person's things have been taken up already
   */
  open(by) {
    if (this.#by === by) return false;
    if (this.#by !== null) {
      // somebody else has signed in meanwhile
      this.#commands.clear();
      this.#draft = null;
    }
    this.#by = by;
    const kept = this.#read();
    if (kept?.by === by) {
      this.#draft ??= kept.draft;
      this.#commands = new Map([...kept.unsent.map((command) => [command.ref, command]), ...this.#commands]);
    }
    this.#save();
    return true;
  }

  /** `{text, reply_to, attachments}` as in requests.js; null where nothing stands there. */
  get draft() {
    return this.#draft;
  }

  set draft(draft) {
    this.#draft = draft.text || draft.reply_to || draft.attachments.length ? draft : null;
    this.#save();
  }

  /** Keeps a command until it is settled. @param {{ref: string}} command */
  add(command) {
    this.#commands.set(command.ref, command);
    this.#save();
  }

  /** @param {string|null} ref */
  has(ref) {
    return this.#commands.has(ref);
  }

  /** @returns {object|undefined} what waits under that ref */
  get(ref) {
    return this.#commands.get(ref);
  }

  /** The server has answered: returns the command and forgets it. */
  settle(ref) {
    const command = this.#commands.get(ref);
    if (this.#commands.delete(ref)) this.#save();
    return command;
  }

  /** All that waits, in the order of writing. */
  get commands() {
    return [...this.#commands.values()];
  }

  /** The messages among them. */
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
    if (this.#by === null || newest.get(this.#key) !== this) return;
    const nothing = !this.#draft && this.messages.length === 0;
    try {
      if (nothing) this.#storage?.removeItem(this.#key);
      else
        this.#storage?.setItem(this.#key, JSON.stringify({ by: this.#by, draft: this.#draft, unsent: this.messages }));
    } catch {
      // The storage is full: the page still has it all.
    }
  }
}

/** Null where the browser forbids it: then nothing survives a reload. */
function storage() {
  try {
    return globalThis.sessionStorage;
  } catch {
    return null;
  }
}

/** A random UUID. `crypto.randomUUID` is there with HTTPS and on localhost only. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
