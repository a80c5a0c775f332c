// Keeps the text of an editor equal to a document's log (docs/protocol.md, "Documents"): receives the changes of others,
// pushes the user's own, one push at a time, and repairs what a lost frame or connection has left out. It has no DOM:
// `editor` is a state and a way to change it. Used by live-text.js.

import { uuid } from "../protocol/outbox.js";
import { ChangeSet, collab, receiveUpdates, sendableUpdates, Transaction } from "../vendor/codemirror/codemirror.js";
import { correct, keepUnsent, readUnsent, rebase } from "./unsent.js";

/**
 * @import { Ack, DocumentCommand, DocumentUpdate, ErrorEvent, EventOf } from "../protocol/types.d.ts"
 * @import { EditorState, Text, TransactionSpec } from "../vendor/codemirror/codemirror.js"
 *
 * @typedef {{changes: ChangeSet, clientID: string}} Received  an update as the editor takes it
 *
 * @typedef {{state: EditorState, dispatch: (change: Transaction|TransactionSpec) => void}} Editor
 */

const PUSH_EVERY = 100; // ms; what is typed between two pushes is one change
const SYNC_EVERY = 20_000; // ms of silence; nothing else tells of a lost last frame
const ANSWER_WITHIN = 5_000; // ms
const RETRY = 5_000; // ms, if the server does not say when
const OWN = "own"; // how the editor tells its own changes from all others

/** Refusals after which the same change can succeed. */
const PASSING = new Set(["unavailable", "busy", "rate_limited"]);

export class Session {
  /** Makes the editor remember which changes the server has not confirmed. */
  extension = collab({ clientID: OWN });
  /** The version of the document that the text is based on. */
  version;
  #id;
  #user;
  #on;
  /** @type {Editor} */
  #editor;
  /** The text of `version`: the editor's without what is not confirmed. @type {Text} */
  #text;
  #live = false;
  /** The push that waits for its place in the log. @type {{client_id: string, count: number, at: number}|null} */
  #pushed = null;
  #pushedAt = -Infinity;
  /** When the log was asked for. @type {number|null} */
  #syncingSince = null;
  #heardAt = performance.now();
  /** What the user has changed since the last push, as one change. @type {ChangeSet|null} */
  #rest = null;
  /** @type {ReturnType<typeof setTimeout>|undefined} until the next push */
  #timer;
  #ended = false;

  /**
   * @param {{id: string, version: number}} document  as it was fetched with its text
   * @param {string} user id
   * @param {object} on
   * @param {(command: DocumentCommand) => boolean} on.send  returns false if the socket is not live
   * @param {(refusal: ErrorEvent|null) => void} on.refused  a push was refused and waits; null: it no longer waits
   * @param {() => void} on.broken  the text and the log do not fit together; the document has to be fetched again
   */
  constructor({ id, version }, user, on) {
    this.#id = id;
    this.version = version;
    this.#user = user;
    this.#on = on;
  }

  /**
   * Begins to follow the log. What an earlier page left is put into the text.
   * @param {Editor} editor with the text of `version`, and with `extension`
   * @param {(since: number) => Promise<DocumentUpdate[]>} fetchUpdates all after a version
   */
  async start(editor, fetchUpdates) {
    this.#text = editor.state.doc;
    const left = readUnsent(this.#id, this.#user);
    if (left) {
      try {
        const { version } = this;
        const updates = left.version < version ? await fetchUpdates(left.version) : [];
        this.#restore(
          editor,
          rebase(
            left,
            updates.filter((update) => update.version <= version),
          ),
        );
      } catch (error) {
        if (!(error instanceof RangeError)) throw error; // it is of another text: nothing can be made of it
      }
    }
    this.#editor = editor; // frames that came meanwhile are in the log
    this.#keep();
    this.#sync();
  }

  /** @param {Editor} editor  @param {ReturnType<typeof rebase>} left */
  #restore(editor, { pushed, rest }) {
    const annotations = Transaction.remote.of(true); // so that nobody takes it for something the user does now
    if (pushed) {
      editor.dispatch({ changes: pushed.changes, annotations });
      this.#pushed = { client_id: pushed.client_id, count: 1, at: -Infinity };
    }
    if (rest) editor.dispatch({ changes: rest, annotations });
    this.#rest = rest;
  }

  stop() {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  /** True if the server has all that the user has typed. */
  get saved() {
    return !this.#editor || this.#unconfirmed.length === 0;
  }

  /** What the user has changed since `version`, in order. */
  get unconfirmed() {
    return this.#unconfirmed.map(({ changes }) => changes);
  }

  get #unconfirmed() {
    return sendableUpdates(this.#editor.state);
  }

  /** The connection was lost, or a snapshot has come on a new one. @param {boolean} live */
  connected(live) {
    this.#live = live;
    this.#syncingSince = null;
    if (live) this.#sync();
  }

  /** The user has changed the text, in a transaction without `Transaction.remote`. @param {ChangeSet} changes */
  changed(changes) {
    this.#rest = this.#rest?.compose(changes) ?? changes;
    this.#keep();
    this.#pushSoon();
  }

  /** Tries again what was refused. */
  retry() {
    if (!this.#pushed) this.#push();
  }

  /** Called once a second. */
  tick() {
    if (!this.#live || this.#ended) return;
    const now = performance.now();
    const lost = this.#pushed && now - this.#pushed.at > ANSWER_WITHIN;
    const silent = now - this.#heardAt > (this.#syncingSince === null ? SYNC_EVERY : ANSWER_WITHIN);
    if (lost || silent) this.#sync(true);
  }

  // --- What the server says

  /** @param {EventOf<"document.changed">} update */
  receive(update) {
    this.#apply([update]);
  }

  /** @param {EventOf<"document.updates">} page */
  receiveUpdates({ updates, more, ref }) {
    if (ref !== this.#refOf("sync")) return this.#apply(updates); // several that were stored together
    this.#syncingSince = null;
    this.#apply(updates);
    if (more) return this.#sync();
    if (this.#pushed) this.#resend();
    else this.#push();
  }

  /** @param {Pick<DocumentUpdate, "version"|"changes"|"client_id">[]} updates */
  #apply(updates) {
    if (this.#ended || !this.#editor) return; // it will ask for them
    this.#heardAt = performance.now();
    const next = updates.filter(({ version }) => version > this.version);
    if (next.length === 0) return;
    if (next[0].version > this.version + 1) return this.#sync();
    try {
      /** @type {Received[]} */
      let received = [];
      for (const { version, changes: given, client_id } of next) {
        const changes = ChangeSet.fromJSON(given);
        if (this.#pushed && this.#pushed.client_id === client_id) {
          this.#take(received);
          received = this.#confirm(changes);
        } else received.push({ changes, clientID: "" });
        this.#text = changes.apply(this.#text);
        this.version = version;
      }
      this.#take(received);
      this.#rest = compose(this.#unconfirmed.slice(this.#pushed?.count ?? 0));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.stop();
      return this.#on.broken();
    }
    this.#keep();
    if (this.#syncingSince === null) this.#pushSoon();
  }

  /** @param {Received[]} updates */
  #take(updates) {
    if (updates.length) this.#editor.dispatch(receiveUpdates(this.#editor.state, updates));
  }

  /**
   * The push has its place in the log. The server has mapped it over others' changes as one change, and the editor as
   * several, so that texts at the same place can be in another order there. The log is right.
   * @param {ChangeSet} stored
   * @returns {Received[]}
   */
  #confirm(stored) {
    const own = this.#unconfirmed.slice(0, this.#pushed?.count);
    const correction = correct(/** @type {ChangeSet} */ (compose(own)), stored, this.#text);
    this.#pushed = null;
    return correction ? [...own, { changes: correction, clientID: "" }] : [...own];
  }

  /** @param {Ack|ErrorEvent} reply to a push or a sync */
  handleReply(reply) {
    if (this.#ended) return;
    this.#heardAt = performance.now();
    const push = reply.ref === this.#refOf("push");
    if (reply.type === "ack") {
      if (push) this.#on.refused(null);
      return; // its place in the log comes with `document.changed`
    }
    if (reply.code === "stale") {
      this.#withdraw();
      return this.#sync();
    }
    const seconds = reply.retry_after ?? RETRY / 1000;
    if (!push) this.#syncingSince = null;
    if (PASSING.has(reply.code)) {
      this.#after(seconds * 1000, () => this.#sync());
      return;
    }
    if (!push) return;
    this.#withdraw();
    this.#on.refused(reply);
    if (reply.code === "conflict") this.#after(RETRY, () => this.#push());
  }

  // --- What the session asks

  /** @param {boolean} [again] although an answer is expected */
  #sync(again = false) {
    if (!this.#live || this.#ended || !this.#editor || (this.#syncingSince !== null && !again)) return;
    this.#syncingSince = this.#heardAt = performance.now();
    this.#on.send({ type: "document.sync", document: this.#id, version: this.version, ref: this.#refOf("sync") });
  }

  #pushSoon() {
    if (this.#pushed || this.saved) return;
    const wait = this.#pushedAt + PUSH_EVERY - performance.now();
    if (wait > 0) this.#after(wait, () => this.#push());
    else this.#push();
  }

  #push() {
    const { length: count } = this.#unconfirmed;
    if (!this.#live || this.#ended || this.#pushed || this.#syncingSince !== null || count === 0) return;
    this.#pushed = { client_id: uuid(), count, at: performance.now() };
    this.#rest = null;
    this.#keep();
    this.#resend();
  }

  /** Sends the push that waits; the server takes it once. */
  #resend() {
    const changes = this.#pushedChanges;
    if (!this.#pushed || !changes) return;
    this.#pushed.at = this.#pushedAt = performance.now();
    this.#on.send({
      type: "document.push",
      document: this.#id,
      version: this.version,
      changes: changes.toJSON(),
      client_id: this.#pushed.client_id,
      rebase: true,
      ref: this.#refOf("push"),
    });
  }

  /** @param {number} wait ms  @param {() => void} work */
  #after(wait, work) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(work, wait);
  }

  get #pushedChanges() {
    return this.#pushed && compose(this.#unconfirmed.slice(0, this.#pushed.count));
  }

  /** Forgets the push: the server has refused it, so it is not in the log. */
  #withdraw() {
    this.#pushed = null;
    this.#rest = compose(this.#unconfirmed);
  }

  /** Stores what the server has not confirmed. */
  #keep() {
    const pushed = this.#pushedChanges;
    const unsent = {
      version: this.version,
      pushed: this.#pushed && pushed && { client_id: this.#pushed.client_id, changes: pushed.toJSON() },
      rest: this.#rest?.toJSON() ?? null,
    };
    keepUnsent(this.#id, this.#user, unsent.pushed || unsent.rest ? unsent : null);
  }

  /** @param {"push"|"sync"} what */
  #refOf(what) {
    return `document:${what}:${this.#id}`;
  }

  // --- Positions

  /** A position in the text of `version`, in the editor's text. @param {number} position  @param {number} [side] -1: stay in front of what was inserted there */
  toEditor(position, side = -1) {
    return this.#unconfirmed.reduce((at, { changes }) => changes.mapPos(at, side), position);
  }

  /** A position in the editor's text, in the text of `version`. @param {number} position */
  fromEditor(position) {
    return this.saved
      ? position
      : this.#unconfirmed.reduceRight((at, { changes }) => changes.invertedDesc.mapPos(at), position);
  }
}

/** @param {readonly {changes: ChangeSet}[]} updates  @returns {ChangeSet|null} null if there are none */
function compose(updates) {
  return updates.reduce((all, { changes }) => all?.compose(changes) ?? changes, /** @type {ChangeSet|null} */ (null));
}
