// Turns what the user does into commands. Commands that must arrive stay in the outbox until they are answered, and are
// sent again after each reconnect, which is safe. Refused ones are undone on the page. Called by conversation.js.

import { strings } from "../i18n/strings.js";
import { Outbox, uuid } from "./outbox.js";
import { activeRuns } from "./reducer.js";

/**
 * @import { Ack, Command, Decision, DocumentCommand, Draft, ErrorEvent, LocalEvent, MessageSend, Mode, State } from "./types.d.ts"
 * @typedef {Exclude<Extract<Command, {ref: string}>, {type: "run.start" | "history.load" | "read" | "run.sync"} | DocumentCommand>} Kept
 * @typedef {Partial<Draft> & {text: string, mode?: Mode|null} & Pick<MessageSend, "selection"|"agent">} NewMessage
 */

const TOO_BIG = 1009; // close code of RFC 6455: a frame was too long
const MOST_TRIES = 5; // connections that may end while a command waits for its answer; then the server cannot take it

/** What the server accepts, in characters. nous-chat.js sets it. */
export const limits = { message: Infinity, frame: Infinity };

export class Commands {
  /** True while a request for an answer is on its way. */
  runRequested = false;
  #state;
  #on;
  #outbox;
  #lastRead = 0;
  /** @type {Map<string, number>} how often a command was sent on this and earlier connections, by ref */
  #tries = new Map();

  /**
   * @param {string} conversation id
   * @param {State} state
   * @param {object} on
   * @param {(command: object) => boolean} on.send returns false if the socket is not live
   * @param {(event: LocalEvent) => void} on.apply
   * @param {(message: Draft) => void} on.returned a message was refused and goes back into the composer
   * @param {(message: string, sentence: string) => boolean} on.refused a change of a message was refused; returns false
   *   if the message does not show it, and `on.say` has to
   * @param {(sentence: string) => void} on.say
   */
  constructor(conversation, state, on) {
    this.#state = state;
    this.#on = on;
    this.#outbox = new Outbox(conversation);
  }

  get draft() {
    return this.#outbox.draft;
  }
  set draft(message) {
    this.#outbox.draft = message;
  }

  /** Sends a message, now or after reconnecting. @param {NewMessage} message */
  sendMessage({ text, reply_to = null, attachments = [], mode = null, selection, agent }) {
    const client_id = uuid();
    /** @type {MessageSend} */
    const command = {
      type: "message.send",
      client_id,
      text,
      ref: client_id,
      ...(mode && { mode }),
      ...(selection && { selection }),
      ...(agent && { agent }),
      ...(reply_to && { reply_to }),
      ...(attachments.length && { attachments }),
    };
    this.#showUnsent(command);
    this.#post(command);
  }

  /** Stops the active run. @returns {boolean} false if there is none */
  stopRun() {
    const [run] = activeRuns(this.#state)[0] ?? [];
    if (run) this.#post({ type: "run.stop", run, ref: `stop:${run}` });
    return run !== undefined;
  }

  /** @param {string} call  @param {Decision} decision */
  decide(call, decision) {
    this.#on.apply({ type: "local.decision", call, refusal: null });
    this.#post({ type: "tool.decide", call, ...decision, ref: `decide:${call}` });
  }

  /** Requests an answer to the last message, or another version of an answer. @param {string} [message] the answer */
  retry(message) {
    this.#startRun(message && { message });
  }

  /** Continues an answer from its text. @param {string} message */
  continue(message) {
    this.#startRun({ message, continue: true });
  }

  /** @param {string} message  @param {string} text  @param {boolean} resend asks the agent again */
  edit(message, text, resend) {
    this.#post({ type: "message.edit", message, text, ...(resend && { resend }), ref: `edit:${message}` });
  }

  /** @param {string} message */
  delete(message) {
    this.#post({ type: "message.delete", message, ref: `delete:${message}` });
  }

  /** @param {string} message */
  restore(message) {
    this.#post({ type: "message.restore", message, ref: `restore:${message}` });
  }

  /** Shows an alternative to everyone. @param {string} message */
  choose(message) {
    this.#post({ type: "message.choose", message, ref: "choose" });
  }

  /** @param {boolean} on */
  typing(on) {
    this.#on.send({ type: "typing", on });
  }

  /** @param {number} before seq  @returns {boolean} false if the socket is not live */
  loadHistory(before) {
    return this.#on.send({ type: "history.load", before, ref: "earlier" });
  }

  /** Marks everything up to a seq as read. @param {number} seq */
  markRead(seq) {
    if (seq > this.#lastRead && this.#on.send({ type: "read", seq, ref: "read" })) this.#lastRead = seq;
  }

  /** Restores what an earlier page of this user left unsent. @param {string} user id  @returns {boolean} false if that was done before */
  restoreOutbox(user) {
    if (!this.#outbox.open(user)) return false;
    for (const message of this.#outbox.messages) this.#showUnsent(message);
    return true;
  }

  /** Sends what is waiting; called when a socket is live. */
  flush() {
    this.runRequested = false;
    for (const command of this.#outbox.commands.filter((each) => this.#isNext(each))) this.#send(command);
  }

  /**
   * The connection was lost. A command that ends each connection would be sent for ever and hold up those behind it, so
   * it is given up.
   * @param {number} code the close code
   */
  disconnected(code) {
    if (code === 1012 || code > 4011) return this.#tries.clear(); // the server's own decision (docs/protocol.md)
    for (const [ref, tries] of this.#tries) {
      const command = this.#outbox.get(ref);
      const stored = command?.type === "message.send" && this.#state.messages.get(command.client_id)?.id;
      if (stored) this.#settle(ref);
      else if (code === TOO_BIG || tries >= MOST_TRIES) this.#giveUp(ref, strings.gaveUp);
    }
  }

  /** Takes the unsent messages back: they go into the composer. */
  withdraw() {
    for (const message of this.#outbox.messages.reverse()) {
      this.#outbox.settle(message.ref);
      this.#giveBack(message);
    }
  }

  /** @param {Ack|ErrorEvent} event */
  handleReply(event) {
    if (event.ref === "ask") this.runRequested = false;
    if (event.type === "error") return this.#handleError(event);
    this.#settle(event.ref);
  }

  /** @param {ErrorEvent} event */
  #handleError({ ref, code, message, retry_after }) {
    if (code === "unavailable" && this.#outbox.has(ref)) return this.#sendLater(ref, retry_after);
    const command = this.#settle(ref);
    if (command?.type === "run.stop" && (code === "run_over" || code === "not_found")) return; // it has stopped already
    if (ref?.startsWith("sync:") || ref === "fill" || ref === "read") return; // not something the user did
    const sentence = strings.refused({ code, message, retry_after });
    if (command?.type === "tool.decide") {
      return this.#on.apply({ type: "local.decision", call: command.call, refusal: sentence });
    }
    if (command?.type === "message.send") this.#giveBack(command);
    if (command?.type === "message.edit" && this.#on.refused(command.message, sentence)) return;
    this.#on.say(sentence);
  }

  /** @param {string|null} ref  @param {number|null} seconds null: only after the next reconnect */
  #sendLater(ref, seconds) {
    if (seconds === null) return;
    setTimeout(() => {
      const command = this.#outbox.get(ref);
      if (command) this.#send(command);
    }, seconds * 1000);
  }

  /** @param {MessageSend} command */
  #giveBack({ client_id, text, reply_to = null, attachments = [] }) {
    this.#on.apply({ type: "local.refused", client_id });
    this.#on.returned({ text, reply_to, attachments });
  }

  /** @param {MessageSend} command */
  #showUnsent({ client_id, text, reply_to = null, attachments = [] }) {
    const created_at = new Date().toISOString();
    this.#on.apply({ type: "local.message", client_id, text, reply_to, attachments, created_at });
  }

  /** @param {{message?: string, continue?: boolean}|""|undefined} fields */
  #startRun(fields) {
    this.runRequested = this.#on.send({ type: "run.start", ...(fields || {}), ref: "ask" });
  }

  /** Sends a command that must arrive. @param {Kept} command */
  #post(command) {
    this.#outbox.add(command);
    if (this.#fits(command) && this.#state.you && this.#isNext(command)) this.#send(command);
  }

  /** The wire names files by their ids. @param {Kept} command */
  #send(command) {
    if (!this.#fits(command)) return;
    const attachments = command.type === "message.send" && command.attachments;
    const frame = attachments ? { ...command, attachments: attachments.map(({ id }) => id) } : command;
    if (this.#on.send(frame)) this.#tries.set(command.ref, (this.#tries.get(command.ref) ?? 0) + 1);
  }

  /** Gives up a command that is too long: the server would not read it, or even close the socket. @param {Kept} command */
  #fits(command) {
    const length = "text" in command ? [...command.text].length : 0;
    if (length > limits.message) this.#giveUp(command.ref, strings.messageTooLong(limits.message, length));
    else if (JSON.stringify(command).length > limits.frame) this.#giveUp(command.ref, strings.gaveUp);
    return this.#outbox.has(command.ref);
  }

  /** @param {string} ref  @param {string} message why */
  #giveUp(ref, message) {
    this.#handleError({ type: "error", ref, code: "too_large", message, retry_after: null });
  }

  /** Messages are sent one at a time, or one that is sent again would overtake later ones. @param {Kept} command */
  #isNext(command) {
    return command.type !== "message.send" || this.#outbox.messages[0] === command;
  }

  /** Forgets an answered command and sends the next message. @param {string|null} ref */
  #settle(ref) {
    const command = this.#outbox.settle(ref);
    this.#tries.delete(ref ?? "");
    const [next] = this.#outbox.messages;
    if (command?.type === "message.send" && next) this.#send(next);
    return command;
  }
}
