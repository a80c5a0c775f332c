// What the person asks for becomes commands here. What must arrive is kept until it is answered and sent again after
// each reconnect, which does no harm; what is refused is taken back. Called by conversation.js.

import { words } from "../i18n/strings.js";
import { Outbox, uuid } from "./outbox.js";
import { activeRuns } from "./reducer.js";

export class Requests {
  asking = false; // is the wish for an answer on its way?
  #state;
  #on;
  #outbox;
  #read = 0;

  /**
   * @param {string} conversation its id
   * @param {import("./reducer.js").State} state
   * @param {object} on
   * @param {(command: object) => boolean} on.send says whether it could
   * @param {(event: object) => void} on.apply an event of this page, for apply.js
   * @param {(message: object, sentence: string) => void} on.returned a message was refused: `{text, reply_to, attachments}`
   * @param {(message: string, sentence: string) => boolean} on.refused something about that message; false: say it here
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

  /**
   * Says a message, now or when the connection is back.
   * @param {object} message `{text, reply_to, attachments, mode}`: the Attachments were uploaded before
   */
  say({ text, reply_to = null, attachments = [], mode = null }) {
    const client_id = uuid();
    const command = {
      type: "message.send",
      client_id,
      text,
      ref: client_id,
      ...(mode && { mode }),
      ...(reply_to && { reply_to }),
      ...(attachments.length && { attachments }),
    };
    this.#post(command);
    this.#bubble(command);
  }

  /** Stops the answer that is being made; says whether there is one. */
  stop() {
    const [run] = activeRuns(this.#state)[0] ?? [];
    if (run) this.#post({ type: "run.stop", run, ref: `stop:${run}` });
    return run !== undefined;
  }

  decide(call, decision) {
    this.#post({ type: "tool.decide", call, ...decision, ref: `decide:${call}` });
    this.#on.apply({ type: "decision", call, refusal: null });
  }

  /** Asks for an answer: to what was said last, or that message again. */
  again(message) {
    this.#ask(message && { message });
  }

  /** The answer goes on from its text. */
  proceed(message) {
    this.#ask({ message, continue: true });
  }

  edit(message, text, resend) {
    this.#post({ type: "message.edit", message, text, ...(resend && { resend }), ref: `edit:${message}` });
  }

  remove(message) {
    this.#post({ type: "message.delete", message, ref: `delete:${message}` });
  }

  restore(message) {
    this.#post({ type: "message.restore", message, ref: `restore:${message}` });
  }

  choose(message) {
    this.#post({ type: "message.choose", message, ref: "choose" });
  }

  typing(on) {
    this.#on.send({ type: "typing", on });
  }

  /** @returns {boolean} could it be asked for? */
  earlier(before) {
    return this.#on.send({ type: "history.load", before, ref: "earlier" });
  }

  /** Everything up to `seq` has been read. */
  read(seq) {
    if (seq > this.#read && this.#on.send({ type: "read", seq, ref: "read" })) this.#read = seq;
  }

  /** Takes up what an earlier page of this person has left. @returns {boolean} false if that was done already */
  takeUp(person) {
    if (!this.#outbox.open(person)) return false;
    for (const message of this.#outbox.messages) this.#bubble(message);
    return true;
  }

  /** The socket is there: now whatever waits can go. */
  arrived() {
    this.asking = false;
    for (const command of this.#outbox.commands) if (this.#isDue(command)) this.#send(command);
  }

  /** @param {object} event an `ack` or `error` */
  answered(event) {
    if (event.ref === "ask") this.asking = false;
    if (event.type === "error") return this.#refused(event);
    this.#settle(event.ref);
  }

  #refused({ ref, code, message, retry_after }) {
    if (code === "unavailable" && this.#outbox.has(ref)) return this.#later(ref, retry_after);
    const command = this.#settle(ref);
    if (command?.type === "run.stop" && (code === "run_over" || code === "not_found")) return; // that was the wish
    if (ref?.startsWith("sync:") || ref === "fill" || ref === "read") return; // the person did not ask for it
    const sentence = words.refused({ code, message, retry_after });
    if (command?.type === "tool.decide")
      return this.#on.apply({ type: "decision", call: command.call, refusal: sentence });
    if (command?.type === "message.send") this.#giveBack(command);
    if (command?.type === "message.edit" && this.#on.refused(command.message, sentence)) return;
    this.#on.say(sentence);
  }

  /** It goes again after reconnecting, or after that many seconds. */
  #later(ref, seconds) {
    if (seconds !== null) setTimeout(() => this.#outbox.has(ref) && this.#send(this.#outbox.get(ref)), seconds * 1000);
  }

  #giveBack({ client_id, text, reply_to = null, attachments = [] }) {
    this.#on.apply({ type: "bubble.gone", client_id });
    this.#on.returned({ text, reply_to, attachments });
  }

  #bubble({ client_id, text, reply_to = null, attachments = [] }) {
    this.#on.apply({ type: "bubble", client_id, text, reply_to, attachments, created_at: new Date().toISOString() });
  }

  #ask(what) {
    this.asking = this.#on.send({ type: "run.start", ...what, ref: "ask" });
  }

  /** For commands that must arrive. */
  #post(command) {
    this.#outbox.add(command);
    if (this.#state.you && this.#isDue(command)) this.#send(command);
  }

  /** On the wire files are named by their ids. */
  #send(command) {
    const { attachments } = command;
    this.#on.send(attachments ? { ...command, attachments: attachments.map(({ id }) => id) } : command);
  }

  /** Messages go one after another: one that has to be sent again would else come after those written later. */
  #isDue(command) {
    return command.type !== "message.send" || this.#outbox.messages[0] === command;
  }

  /** A command is answered, and the next message may go. */
  #settle(ref) {
    const command = this.#outbox.settle(ref);
    const [next] = this.#outbox.messages;
    if (command?.type === "message.send" && next) this.#send(next);
    return command;
  }
}
