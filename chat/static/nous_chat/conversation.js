// One conversation on the page. Events come from its socket, apply.js says what they change, the views show it; what the
// person does becomes commands. Made and dropped by nous-chat.js as conversations are opened.

import { activeRuns, apply, emptyState, lastMessage, waitingCalls } from "./apply.js";
import { Announcer } from "./announce.js";
import { Bar, sentenceFor } from "./bar.js";
import { sentenceOf } from "./call.js";
import { Composer } from "./composer.js";
import { el } from "./dom.js";
import { Follower } from "./follow.js";
import { Foot } from "./foot.js";
import { Head } from "./head.js";
import { reasonOf } from "./message.js";
import { Messages } from "./messages.js";
import { Outbox, uuid } from "./outbox.js";
import { Socket } from "./socket.js";
import { words } from "./words.js";

const TYPING_FADES = 60_000; // in case the frame that ends it is lost

export class Conversation {
  #state = emptyState();
  #options; #socket; #outbox; #follower; #announcer; #bar; #head; #messages; #foot; #composer; #typing;
  #asked = new Set(); // calls whose need of an approval has been announced
  #retrying = false;
  #clock = 0;
  #fading = 0;

  /**
   * @param {object} options
   * @param {string} options.id
   * @param {string} options.socket URL of the sockets; the id is appended
   * @param {string} options.login URL of the sign-in page
   * @param {string} options.heading tag of the title
   * @param {HTMLElement} options.region polite live region for screen readers
   * @param {string|null} options.person id of the person, if it is known already
   * @param {(name: string) => void} options.onConnection
   * @param {(state: import("./apply.js").State) => void} options.onState the conversation or its people are known, or have changed
   */
  constructor(options) {
    const send = (command) => this.#socket.send(command);
    const retry = (message) => this.#retry(message);
    this.#options = options;
    this.#socket = new Socket(`${options.socket}${options.id}/`, {
      onEvent: (event) => this.#receive(event),
      onConnection: (connection) => this.#connected(connection),
    });
    this.#outbox = new Outbox(options.id);
    this.#follower = new Follower(this.#state, send);
    this.#announcer = new Announcer(options.region, this.#state);
    this.#bar = new Bar({ login: options.login, onNow: () => this.#socket.reconnect() });
    this.#head = new Head(options.heading);
    this.#foot = new Foot({ send: (text) => this.send(text), retry: () => retry() });
    this.#messages = new Messages(this.#state, {
      foot: this.#foot.element,
      onRetry: retry,
      onDecide: (call, decision) => this.#decide(call, decision),
      onEarlier: (before) => send({ type: "history.load", before, ref: "earlier" }),
    });
    this.#typing = el("p", { class: "typing" });
    this.#composer = new Composer({
      send: (text) => this.send(text),
      stop: () => this.stopRun(),
      draft: (text) => (this.#outbox.draft = text),
      typing: (on) => send({ type: "typing", on }),
    });
    this.element = el("section", { class: "conversation", "data-loading": true },
      this.#head.element, this.#bar.element, this.#messages.element,
      el("footer", {}, this.#messages.scroller.button, this.#typing, this.#composer.element));
  }

  start() {
    this.#messages.start();
    this.#clock = setInterval(() => this.#tick(), 1000);
    if (this.#options.person) this.#takeUp(this.#options.person);
    this.#socket.open();
  }

  stop() {
    this.#socket.close();
    this.#messages.stop();
    this.#bar.stop();
    clearInterval(this.#clock);
    clearTimeout(this.#fading);
  }

  focus() {
    this.#composer.focus();
  }

  /** Shows a sentence near the composer. */
  say(sentence) {
    this.#composer.say(sentence);
    this.#announcer.say(sentence);
  }

  /** Puts an element before the title. */
  set lead(element) {
    this.#head.element.prepend(element);
  }

  /** Puts an element behind it. */
  set trail(element) {
    this.#head.element.append(element);
  }

  // --- What the person does

  /** Sends a message, now or when the connection is back. */
  send(text) {
    const client_id = uuid();
    this.#post({ type: "message.send", client_id, text, ref: client_id });
    this.#bubble(client_id, text);
    this.#messages.scroller.toEnd();
  }

  /** Stops the answer that is being made; says whether there is one. */
  stopRun() {
    const [run] = activeRuns(this.#state)[0] ?? [];
    if (run) this.#post({ type: "run.stop", run, ref: `stop:${run}` });
    return run !== undefined;
  }

  #decide(call, decision) {
    this.#post({ type: "tool.decide", call, ...decision, ref: `decide:${call}` });
    this.#apply({ type: "decision", call, refusal: null });
  }

  #retry(message) {
    this.#retrying = this.#socket.send({ type: "run.start", ...(message && { message }), ref: "retry" });
    this.#composer.say(null);
    this.#refresh();
    this.#messages.scroller.toEnd();
  }

  /** For commands that must arrive: kept until their ack, sent again after each reconnect, which does no harm. */
  #post(command) {
    this.#outbox.add(command);
    if (this.#state.you) this.#socket.send(command);
  }

  // --- What the server says

  #receive(event) {
    if (event.type === "ack") this.#outbox.settle(event.ref);
    if (event.type === "snapshot" || event.ref === "retry") this.#retrying = false;
    this.#apply(event);
    if (event.type === "snapshot") this.#arrived(event);
    if (event.type === "error") this.#refused(event);
    if (event.type === "typing") this.#fade();
    this.#announce(event);
  }

  #apply(event) {
    for (const change of apply(this.#state, event)) {
      if (change.type === "append") this.#messages.append(change.key, change.part, change.text);
      if (change.type === "message") this.#messages.put(change.key);
      if (change.type === "send") this.#socket.send(change.command);
      if (change.type === "history") this.#messages.loaded();
      if (change.type === "conversation" || change.type === "people") this.#options.onState(this.#state);
    }
    if (event.type !== "run.delta") this.#refresh();
  }

  /** The first event of a socket: now whatever waits can go. */
  #arrived({ you }) {
    this.element.removeAttribute("data-loading");
    this.#takeUp(you.id);
    this.#follower.reset();
    for (const command of this.#outbox.commands) this.#socket.send(command);
  }

  #takeUp(person) {
    if (!this.#outbox.open(person)) return;
    for (const { client_id, text } of this.#outbox.messages) this.#bubble(client_id, text);
    if (!this.#composer.text) this.#composer.text = this.#outbox.draft;
  }

  #bubble(client_id, text) {
    this.#apply({ type: "bubble", client_id, text, created_at: new Date().toISOString() });
  }

  #refused({ ref, code, message, retry_after }) {
    if (code === "unavailable" && this.#outbox.has(ref)) return; // goes again after reconnecting
    const command = this.#outbox.settle(ref);
    if (command?.type === "run.stop" && (code === "run_over" || code === "not_found")) return; // that was the wish
    if (ref?.startsWith("sync:") || ref === "fill") return; // the person did not ask for it
    if (command?.type === "message.send") {
      this.#apply({ type: "bubble.gone", client_id: command.client_id });
      this.#composer.giveBack(command.text);
    }
    if (ref === "earlier") this.#messages.loaded();
    const sentence = retry_after ? `${message} ${words.retryAfter(retry_after)}` : message;
    if (command?.type === "tool.decide") this.#apply({ type: "decision", call: command.call, refusal: sentence });
    else this.say(sentence);
  }

  #fade() {
    clearTimeout(this.#fading);
    this.#fading = setTimeout(() => this.#apply({ type: "typing.faded" }), TYPING_FADES);
  }

  #connected(connection) {
    const { name, code } = connection;
    const before = this.element.dataset.connection ?? "connecting";
    this.element.dataset.connection = name;
    if (code === 4404) this.element.removeAttribute("data-loading");
    this.#bar.show(connection);
    this.#options.onConnection(name);
    this.#refresh();
    if (name === before || (name === "live" && before === "connecting")) return;
    this.#announcer.say(name === "live" ? words.connected : sentenceFor(connection));
  }

  #tick() {
    this.#follower.tick(Date.now());
    this.#announcer.tick();
  }

  // --- What is shown of the state as a whole; deltas change none of it

  #refresh() {
    const state = this.#state;
    const { name: connection, code } = this.#socket.connection;
    const running = activeRuns(state).length > 0;
    const writer = state.you?.role !== "viewer";
    const barred = code === 4403 || code === 4404;
    const last = lastMessage(state);
    const retry = connection === "live" && writer && !running && !this.#retrying;

    this.#head.show(state);
    this.#messages.offerRetry(retry && last?.run && reasonOf(last.run, state.you) ? last.run.id : null);
    this.#foot.show(state, { writer, retry });
    this.#typing.textContent = state.typing.size ? words.typing([...state.typing.values()]) : "";
    this.#composer.show({ writer, barred, running, agent: state.conversation?.agent.name ?? "" });
  }

  #announce(event) {
    const { you } = this.#state;
    const message = event.message;
    if (event.type === "message.created" && message.author?.id !== you.id) {
      this.#announcer.say(words.said(message.author?.name ?? words.somebody, message.text));
    }
    if (event.type === "run.tool" && event.call.decided_by && this.#asked.delete(event.call.id)) {
      this.#announcer.say(sentenceOf(event.call));
    }
    for (const { id, name } of event.type === "run.delta" ? [] : waitingCalls(this.#state)) {
      if (!this.#asked.has(id)) this.#announcer.say(words.approvalNeeded(words.plainly(name)));
      this.#asked.add(id);
    }
    if (event.type === "run.started") this.#announcer.started(event.run, words.answerStarted(message.run.agent.name));
    if (event.type === "run.finished" && message) {
      this.#announcer.finished(message, reasonOf(message.run, you) ?? words.answerComplete);
    }
  }
}
