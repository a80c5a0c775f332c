// One conversation on the page. Events come from its socket, apply.js says what they change, the views show it; what the
// person does becomes commands. Made and dropped by nous-chat.js as conversations are opened.

import { activeRun, apply, emptyState, isActive, lastMessage, totalTokens } from "./apply.js";
import { Announcer } from "./announce.js";
import { Bar, sentenceFor } from "./bar.js";
import { Composer } from "./composer.js";
import { el } from "./dom.js";
import { Follower } from "./follow.js";
import { reasonOf } from "./message.js";
import { Messages } from "./messages.js";
import { Outbox } from "./outbox.js";
import { Socket } from "./socket.js";
import { words } from "./words.js";

const TYPING_FADES = 60_000; // in case the frame that ends it is lost

export class Conversation {
  #state = emptyState();
  #options; #socket; #outbox; #follower; #announcer; #messages; #composer; #bar;
  #parts = {};
  #fading = new Map(); // person -> timer
  #retrying = false;

  /**
   * @param {object} options
   * @param {string} options.id
   * @param {string} options.socket URL of the sockets; the id is appended
   * @param {string} options.login URL of the sign-in page
   * @param {string} options.heading tag of the title
   * @param {HTMLElement} options.region polite live region for screen readers
   * @param {string|null} options.person id of the person, if it is known already
   * @param {(name: string) => void} options.onConnection
   * @param {(conversation: object, you: object) => void} options.onConversation it is known, or has changed
   */
  constructor(options) {
    this.#options = options;
    this.#socket = new Socket(`${options.socket}${options.id}/`, {
      onEvent: (event) => this.#receive(event),
      onConnection: (connection) => this.#connected(connection),
    });
    this.#outbox = new Outbox(options.id, storage());
    this.#follower = new Follower(this.#state, (command) => this.#socket.send(command));
    this.#announcer = new Announcer(options.region);
    this.#bar = new Bar({ login: options.login, onNow: () => this.#socket.reconnect() });
    this.#composer = new Composer({
      send: (text) => this.send(text),
      stop: () => this.stopRun(),
      draft: (text) => (this.#outbox.draft = text),
      typing: (on) => this.#socket.send({ type: "typing", on }),
    });
    const part = (name, tag, attributes = {}, ...children) =>
      (this.#parts[name] = el(tag, { class: name, ...attributes }, ...children));
    this.#messages = new Messages(this.#state, {
      foot: part("foot", "div"),
      onRetry: (message) => this.#retry(message),
      onEarlier: (before) => this.#socket.send({ type: "history.load", before, ref: "earlier" }),
    });
    this.element = el("section", { class: "conversation", "aria-label": words.messages },
      part("head", "header", {}, part("title", options.heading), part("total", "p", { title: words.totalHint, hidden: true })),
      this.#bar.element,
      this.#messages.element,
      el("footer", {}, this.#messages.scroller.button, part("typing", "p"),
        part("readonly", "p", { hidden: true }, words.readOnly), this.#composer.element),
    );
  }

  start() {
    this.element.toggleAttribute("data-loading", true);
    this.#messages.start();
    this.#follower.start();
    if (this.#options.person) this.#takeUp(this.#options.person);
    this.#socket.open();
  }

  stop() {
    this.#socket.close();
    this.#follower.stop();
    this.#messages.stop();
    this.#announcer.stop();
    this.#bar.stop();
    for (const timer of this.#fading.values()) clearTimeout(timer);
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
    this.#parts.head.prepend(element);
  }

  /** Sends a message, now or when the connection is back. */
  send(text) {
    const client_id = uuid();
    this.#keep({ type: "message.send", client_id, text, ref: client_id });
    this.#show({ type: "bubble", client_id, text, created_at: new Date().toISOString() });
    this.#messages.scroller.toEnd();
  }

  /** Stops the run that is active, if there is one. */
  stopRun() {
    const run = activeRun(this.#state);
    if (run) this.#keep({ type: "run.stop", run, ref: `stop:${run}` });
    return run !== null;
  }

  #retry(message) {
    this.#retrying = this.#socket.send({ type: "run.start", ...(message && { message }), ref: "retry" });
    this.#composer.say(null);
    this.#refresh();
    this.#messages.scroller.toEnd();
  }

  /** Commands that must arrive: kept until their ack, sent again after each reconnect. Both are safe to repeat. */
  #keep(command) {
    this.#outbox.add(command);
    if (this.#state.you) this.#socket.send(command);
  }

  #receive(event) {
    if (event.type === "ack") this.#outbox.settle(event.ref);
    if (event.type === "ack" || event.type === "error" || event.type === "snapshot") {
      if (event.ref === "retry" || event.type === "snapshot") this.#retrying = false;
    }
    this.#show(event);
    if (event.type === "error") this.#refused(event);
    if (event.type === "snapshot") this.#arrived(event);
    if (event.type === "typing") this.#fade(event);
    this.#announce(event);
  }

  #show(event) {
    let more = false;
    for (const change of apply(this.#state, event)) {
      if (change.type === "append") {
        this.#messages.append(change.key, change.part, change.text);
        if (change.part === "text") this.#announcer.append(change.key, change.text);
        continue;
      }
      more = true;
      if (change.type === "put" || change.type === "drop") this.#messages.put(change.key);
      if (change.type === "send") this.#socket.send(change.command);
      if (change.type === "history") this.#messages.loaded();
      if (change.type === "conversation") this.#options.onConversation(this.#state.conversation, this.#state.you);
    }
    if (more || event.type === "error") this.#refresh();
  }

  /** The first event of a socket: now whatever waits can go. */
  #arrived({ you }) {
    this.element.toggleAttribute("data-loading", false);
    this.#takeUp(you.id);
    this.#follower.reset();
    for (const command of this.#outbox.commands) this.#socket.send(command);
  }

  #takeUp(person) {
    if (!this.#outbox.open(person)) return;
    for (const { client_id, text } of this.#outbox.messages) {
      this.#show({ type: "bubble", client_id, text, created_at: new Date().toISOString() });
    }
    if (!this.#composer.text) this.#composer.text = this.#outbox.draft;
  }

  #refused({ ref, code, message, retry_after }) {
    if (code === "unavailable" && this.#outbox.has(ref)) return; // goes again after reconnecting
    const command = this.#outbox.settle(ref);
    if (ref?.startsWith("stop:") && (code === "run_over" || code === "not_found")) return; // that was the wish
    if (ref?.startsWith("sync:") || ref === "fill") return; // nobody asked for it
    if (command?.type === "message.send") {
      this.#show({ type: "bubble.gone", client_id: command.client_id });
      this.#composer.giveBack(command.text);
    }
    if (ref === "earlier") this.#messages.loaded();
    const sentence = [message, retry_after ? words.retryAfter(retry_after) : null].filter(Boolean).join(" ");
    this.say(sentence);
  }

  #fade({ user, on }) {
    clearTimeout(this.#fading.get(user.id));
    if (on) this.#fading.set(user.id, setTimeout(() => this.#show({ type: "typing", user, on: false }), TYPING_FADES));
  }

  #connected(connection) {
    const before = this.element.dataset.connection;
    this.element.dataset.connection = connection.name;
    this.#bar.show(connection);
    this.#options.onConnection(connection.name);
    this.#refresh();
    if (connection.name === before || before === undefined) return;
    if (connection.name === "live" && before !== "connecting") this.#announcer.say(words.connected);
    if (connection.name === "reconnecting") this.#announcer.say(words.lost);
    if (connection.name === "offline" || connection.name === "closed") this.#announcer.say(sentenceFor(connection));
    if (connection.code === 4404) this.element.toggleAttribute("data-loading", false);
  }

  /** Everything that follows from the state as a whole; not called for deltas. */
  #refresh() {
    const { conversation, typing, you, unanswered } = this.#state;
    const { name: connection, code } = this.#socket.connection;
    const running = activeRun(this.#state) !== null;
    const reader = you?.role === "viewer";
    const last = lastMessage(this.#state);
    const retry = connection === "live" && !running && !reader && !this.#retrying;

    this.#parts.title.textContent = conversation ? conversation.title || words.untitled : "\u00a0";
    const total = totalTokens(this.#state);
    this.#parts.total.hidden = total === 0;
    this.#parts.total.textContent = this.#state.more ? words.atLeastTokens(total) : words.tokens(total);
    this.#parts.typing.textContent = typing.size ? words.typing([...typing.values()]) : "";
    this.#parts.readonly.hidden = !reader;
    if (conversation) this.#composer.address(conversation.agent.name);
    const barred = code === 4403 || code === 4404;
    this.#composer.element.hidden = reader || (barred && !this.#composer.text);
    this.#composer.enable(!barred);
    this.#composer.running(running);
    this.#messages.offerRetry(retry && last?.run && reasonOf(last.run, you) ? last.run.id : null);
    this.#foot(unanswered, retry);
  }

  /** Under the last message: first steps, or that there is no answer. */
  #foot(unanswered, retry) {
    const { conversation, messages, you } = this.#state;
    const children = [];
    if (conversation && messages.size === 0 && you.role !== "viewer") {
      children.push(el("div", { class: "first" },
        el("p", { class: "greeting" }, words.greeting),
        conversation.agent.starters.length ? el("p", { class: "hint" }, words.starters) : null,
        ...conversation.agent.starters.map((text) =>
          el("button", { type: "button", class: "starter", onclick: () => this.send(text) }, text))));
    } else if (unanswered && !this.#outbox.messages.length) {
      const reason = { stopped: words.stoppedBefore, failed: unanswered.error?.message || words.failedBefore };
      children.push(el("p", { class: "unanswered" }, el("span", {}, reason[unanswered.status] ?? words.unanswered),
        retry ? el("button", { type: "button", class: "quiet", onclick: () => this.#retry(null) }, words.retry) : null));
    }
    const shown = children.map((child) => child.textContent).join();
    if (shown === this.#parts.foot.textContent) return; // leaves the focus alone
    this.#parts.foot.replaceChildren(...children);
  }

  #announce(event) {
    const { you } = this.#state;
    if (event.type === "snapshot") {
      for (const [key, { text, run }] of this.#state.messages) if (run && isActive(run)) this.#announcer.skip(key, text);
    }
    if (event.type === "message.created" && event.message.author?.id !== you.id) {
      this.#announcer.say(words.said(event.message.author?.name ?? words.somebody, event.message.text));
    }
    if (event.type === "run.started") {
      this.#announcer.start(event.run, words.answerStarted(event.message.run?.agent?.name ?? words.assistant));
    }
    if (event.type === "run.state" && event.message) this.#announcer.whole(event.run, event.message.text);
    if (event.type === "run.finished" && event.message) {
      this.#announcer.whole(event.run, event.message.text);
      this.#announcer.finish(event.run, reasonOf(event.message.run, you) ?? words.answerComplete);
    }
  }
}

/** A browser may forbid storage; `crypto.randomUUID` needs HTTPS or localhost, `getRandomValues` does not. */
function storage() {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}

function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
