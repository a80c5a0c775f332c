// One open conversation. Events come from its socket, reducer.js says what they change, and the views show it; what the
// user does becomes commands in commands.js. nous-chat.js creates it when a conversation is opened, and stops it.

import { Composer } from "../composer/composer.js";
import { DropTarget } from "../composer/drop-target.js";
import { Documents } from "../documents/documents.js";
import { strings } from "../i18n/strings.js";
import { showEditHistory } from "../message/edit-history.js";
import { outcomeOf } from "../message/outcome.js";
import { sentenceOf } from "../message/tool-call.js";
import { Acknowledger } from "../protocol/acknowledge.js";
import { attempt } from "../protocol/api.js";
import { Commands } from "../protocol/commands.js";
import { isDocumentCall } from "../protocol/documents.js";
import { may, mayPost, mayStop } from "../protocol/permissions.js";
import {
  activeRuns,
  apply,
  callsAwaitingApproval,
  emptyState,
  isActive,
  keyOf,
  lastMessage,
  lastQuestion,
  messageById,
  TYPING_EXPIRES,
} from "../protocol/reducer.js";
import { Socket } from "../protocol/socket.js";
import { Announcer } from "../ui/announcer.js";
import { el } from "../ui/dom.js";
import { Activity } from "./activity.js";
import { ConnectionBar, connectionText } from "./connection-bar.js";
import { EmptyState } from "./empty-state.js";
import { ConversationHeader } from "./header.js";
import { MessageList } from "./message-list.js";

/** @import { Conversation as ConversationObject, Draft, Event, Mode, Run, State } from "../protocol/types.d.ts" */

export class Conversation {
  #state = emptyState();
  #options;
  #socket;
  #commands;
  #acknowledger;
  #announcer;
  #bar;
  #header;
  #messages;
  #emptyState;
  #composer;
  #activity;
  #blocked = false;
  /** @type {Set<string>} calls whose approval has been announced */
  #announced = new Set();
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #clock;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #typingTimer;

  /**
   * @param {object} options
   * @param {string} options.id
   * @param {import("../protocol/api.js").Api} options.api
   * @param {string} options.socket URL of the sockets; the id is appended
   * @param {string} options.login URL of the sign-in page
   * @param {string} options.heading tag of the title
   * @param {HTMLElement} options.region polite live region for screen readers
   * @param {string|null} options.user id of the user, if it is known already
   * @param {(connection: import("../protocol/socket.js").Connection) => void} options.onConnection
   * @param {(state: State) => void} options.onState the conversation or its participants have been loaded or changed
   * @param {(conversation: ConversationObject) => void} options.onFork a new conversation branches off from this one
   */
  constructor(options) {
    const { id, api } = options;
    this.#options = options;
    this.#socket = new Socket(`${options.socket}${id}/`, {
      onEvent: (event) => this.#receive(event),
      onConnection: (connection) => this.#connectionChanged(connection),
    });
    this.#commands = new Commands(id, this.#state, {
      send: (command) => this.#socket.send(command),
      apply: (event) => this.#apply(event),
      returned: (message) => this.#composer.giveBack(message),
      refused: (message, sentence) => this.#messages.refused(message, sentence),
      say: (sentence) => this.say(sentence),
    });
    const commands = this.#commands;
    this.documents = new Documents({
      state: this.#state,
      api,
      send: (command) => this.#socket.send(command),
      say: (sentence) => this.#announcer.say(sentence),
      heading: options.heading,
      leave: () => this.focus(),
      launched: (run) => this.#launched(run),
      ask: (text, selection) => this.send({ text, selection, agent: this.#state.conversation?.agent.slug }),
    });
    this.#acknowledger = new Acknowledger(this.#state, (command) => this.#socket.send(command));
    this.#announcer = new Announcer(options.region, this.#state);
    this.#activity = new Activity(this.#state);
    this.#bar = new ConnectionBar({ login: options.login, onReconnect: () => this.#socket.reconnect() });
    this.#header = new ConversationHeader(options.heading);
    this.#emptyState = new EmptyState({ send: (text) => this.send({ text }), retry: () => this.#startRun("retry") });
    this.#messages = new MessageList(this.#state, {
      footer: this.#emptyState.element,
      acts: {
        retry: (message) => this.#startRun("retry", message),
        continue: (message) => this.#startRun("continue", message),
        decide: (call, decision) => commands.decide(call, decision),
        reply: ({ id }) => this.#composer.reply(id),
        edit: (message, text, resend) => {
          commands.edit(message, text, resend);
          if (resend) this.#messages.scroller.toEnd();
        },
        delete: (message) => commands.delete(message),
        restore: (message) => commands.restore(message),
        choose: (message) => commands.choose(message),
        fork: (message) => this.#attempt(async () => options.onFork(await api.fork(id, message))),
        showHistory: (message) =>
          this.#attempt(async () => showEditHistory(this.element, (await api.edits(id, message)).edits)),
        rate: (message) =>
          this.#attempt(async () => (await import("../message/feedback.js")).rate(this.element, api, id, message)),
        leave: () => this.focus(),
        openDocument: (document) => this.documents.show(document),
      },
      onEarlier: (before) => commands.loadHistory(before),
    });
    this.#composer = new Composer({
      send: (message) => this.send(message),
      stop: () => this.stopRun(),
      editLast: () => this.#messages.editLast(),
      draft: (message) => (commands.draft = message),
      message: (id) => messageById(this.#state, id),
      typing: (on) => commands.typing(on),
      mentionable: () => mentionable(this.#state),
      files: {
        upload: (file, onProgress) => api.upload(id, file, onProgress),
        find: (attachment) => api.find(attachment),
        discard: (attachment) => api.discard(attachment).catch(() => {}), // the server deletes it after a day
      },
    });
    this.element = el(
      "section",
      { class: "conversation", "data-loading": true },
      this.#header.element,
      this.#bar.element,
      this.#messages.element,
      el("footer", {}, this.#messages.scroller.button, this.#activity.element, this.#composer.element),
    );
    const dropTarget = new DropTarget(this.element, {
      allowed: () => may.attach && mayPost(this.#state.you),
      files: (files) => this.#composer.attach(files),
    });
    this.element.append(dropTarget.element);
  }

  start() {
    this.#messages.start();
    this.#clock = setInterval(() => this.#tick(), 1000);
    if (this.#options.user) this.#restoreOutbox(this.#options.user);
    this.#socket.open();
  }

  stop() {
    this.#socket.close();
    this.#messages.stop();
    this.documents.stop();
    this.#bar.stop();
    clearInterval(this.#clock);
    clearTimeout(this.#typingTimer);
  }

  /** Focuses the message field. @param {FocusOptions} [options] */
  focus(options) {
    this.#composer.focus(options);
  }

  /** True if it has no messages; the list of conversations learns of a message a moment later. */
  get empty() {
    return this.#state.messages.size === 0;
  }

  /** Shows a sentence near the composer and announces it. @param {string} sentence */
  say(sentence) {
    this.#composer.say(sentence);
    this.#announcer.say(sentence);
  }

  /** What the user has written and not sent yet. */
  get text() {
    this.#commands.withdraw();
    return this.#composer.text;
  }

  set text(/** @type {string} */ text) {
    this.#composer.replace(text);
  }

  get socket() {
    return this.#socket;
  }

  /** WebSockets cannot pass the network, although the server can be reached. */
  blocked() {
    this.#blocked = true;
    this.#showConnection();
  }

  /** Goes to a message. @param {string} id  @param {string[]} words to mark in it */
  reveal(id, words) {
    this.#messages.reveal(id, words);
  }

  /** Adds buttons before and after the title. @param {HTMLElement|string} before  @param {HTMLElement|string} after */
  addButtons(before, after) {
    this.#header.element.prepend(before);
    this.#header.element.append(after);
  }

  // --- What the user does

  /** Sends a message, now or after reconnecting. @param {import("../protocol/commands.js").NewMessage} message */
  send(message) {
    this.#commands.sendMessage(message);
    this.#messages.scroller.toEnd();
    this.#composer.keepFocus();
  }

  /** Stops the active run. @returns {boolean} false if there is none that the user may stop */
  stopRun() {
    return (this.#running?.stoppable ?? false) && this.#commands.stopRun();
  }

  /** @param {"retry"|"continue"} how  @param {string} [message] the answer */
  #startRun(how, message) {
    this.#commands[how](/** @type {string} */ (message));
    this.#composer.say(null);
    this.#refresh();
    this.#messages.scroller.toEnd();
  }

  /** Has the user started this run? @param {string} run */
  #launched(run) {
    const launcher = this.#state.messages.get(this.#state.runs.get(run)?.key ?? "")?.run?.launched_by;
    return launcher != null && launcher.id === this.#state.you?.id;
  }

  /** @param {() => Promise<void>} work */
  #attempt(work) {
    return attempt(work, (reason) => this.say(reason));
  }

  // --- What the server says

  /** @param {import("../protocol/types.d.ts").WireEvent} event */
  #receive(event) {
    if (event.type === "presence" || event.type === "run.waiting" || event.type === "run.state") event.at = Date.now();
    this.#apply(event);
    if (event.type === "snapshot") this.#handleSnapshot(event.you.id);
    const reply = event.type === "ack" || event.type === "error" ? event : null;
    if (reply && !this.documents.handleReply(reply)) this.#commands.handleReply(reply);
    this.documents.receive(event);
    if (event.type === "error" && event.ref === "earlier") this.#messages.loaded();
    if (event.type === "typing") this.#expireTyping();
    if (event.type === "notice") this.#announcer.say(event.message);
    if (event.type === "notice" || event.type === "snapshot") this.#showConnection();
    if (event.type === "ack" || event.type === "error") this.#refresh();
    this.#announce(event);
  }

  /** @param {Event} event */
  #apply(event) {
    for (const change of apply(this.#state, event)) {
      if (change.type === "append") this.#messages.append(change.key, change.part, change.text);
      if (change.type === "message") this.#messages.put(change.key);
      if (change.type === "send") this.#socket.send(change.command);
      if (change.type === "history") this.#messages.loaded();
      if (change.type === "documents") this.#documentsChanged();
      if (change.type === "conversation" || change.type === "people") this.#options.onState(this.#state);
    }
    if (event.type !== "run.delta") this.#refresh();
  }

  #documentsChanged() {
    for (const [key, { calls, run }] of this.#state.messages) {
      if ((run && isActive(run)) || calls.some(isDocumentCall)) this.#messages.put(key);
    }
    this.#options.onState(this.#state);
  }

  /** A snapshot is the first event of each socket; the server may also send one later. @param {string} user id */
  #handleSnapshot(user) {
    this.element.removeAttribute("data-loading");
    this.#restoreOutbox(user);
    this.#acknowledger.reset();
    this.#commands.flush();
    this.documents.connected(true);
  }

  /** @param {string} user id */
  #restoreOutbox(user) {
    if (!this.#commands.restoreOutbox(user) || !this.#composer.untouched) return;
    if (this.#commands.draft) this.#composer.giveBack(this.#commands.draft);
  }

  #expireTyping() {
    clearTimeout(this.#typingTimer);
    this.#typingTimer = setTimeout(() => this.#apply({ type: "local.typing_expired" }), TYPING_EXPIRES);
  }

  /** @param {import("../protocol/socket.js").Connection} connection */
  #connectionChanged(connection) {
    const { name, code } = connection;
    const before = this.element.dataset.connection ?? "connecting";
    this.element.dataset.connection = name;
    if (code === 4404) this.element.removeAttribute("data-loading");
    if (name === "live") this.#blocked = false;
    this.#showConnection();
    if (name !== "live") this.documents.connected(false);
    if (before === "live" && name === "reconnecting") this.#commands.disconnected(code ?? 1006);
    this.#options.onConnection(connection);
    this.#refresh();
    if (name === before || (name === "live" && before === "connecting")) return;
    this.#announcer.say(name === "live" ? strings.connected : connectionText(connection));
  }

  #tick() {
    const now = Date.now();
    this.#acknowledger.tick(now);
    this.#announcer.tick();
    this.#activity.show(now);
    this.documents.tick();
    if (this.#state.presence.size) this.#apply({ type: "local.presence_expired", now });
    if (this.#messages.scroller.atEnd && !document.hidden && this.#state.you)
      this.#commands.markRead(this.#state.lastSeq);
  }

  // --- What depends on the state as a whole; a delta changes none of it

  #showConnection() {
    const outages = [...this.#state.outages.values()].join(" ");
    this.#messages.scroller.keepPlace(() => this.#bar.show(this.#socket.connection, outages, this.#blocked));
  }

  #refresh() {
    const state = this.#state;
    const { conversation } = state;
    const { name: connection, code } = this.#socket.connection;
    const running = this.#running;
    const writer = state.you === null || mayPost(state.you);
    const barred = code === 4403 || code === 4404;
    const last = lastMessage(state);
    const mayRetry = connection === "live" && writer && running === null && !this.#commands.runRequested;

    this.#header.show(state);
    const question = lastQuestion(state);
    this.#messages.offer(
      mayRetry && last?.run ? keyOf(state, last) : null,
      mayRetry && question ? keyOf(state, question) : null,
    );
    this.#emptyState.show(state, { mayPost: writer, mayRetry });
    this.#activity.show(Date.now());
    this.#composer.show({ mayPost: writer, barred, running, placeholder: placeholder(conversation) });
  }

  /**
   * The active run, as the composer needs it. Another user's answer is only interrupted if the writer says so.
   * @returns {import("../composer/composer.js").Running|null}
   */
  get #running() {
    const { conversation, messages, you } = this.#state;
    const [active] = activeRuns(this.#state);
    if (!active) return null;
    /** @type {Partial<Run>} */
    const run = messages.get(active[1].key ?? "")?.run ?? {};
    const own = run.launched_by === undefined || run.launched_by?.id === you?.id;
    return {
      stoppable: mayStop(run, you),
      mode: own ? (conversation?.mode ?? "interrupt") : "queue",
      asksAgent: (text) => conversation?.answers === "always" || text.includes("@"),
    };
  }

  /** @param {import("../protocol/types.d.ts").WireEvent} event */
  #announce(event) {
    const { you } = this.#state;
    if (event.type === "message.created" && event.message.author?.id !== you?.id) {
      const { author, text } = event.message;
      this.#announcer.say(author ? strings.said(author.name, text) : text);
    }
    if (event.type === "run.tool" && event.call.decided_by && this.#announced.delete(event.call.id)) {
      this.#announcer.say(sentenceOf(event.call));
    }
    for (const { id, name } of event.type === "run.delta" ? [] : callsAwaitingApproval(this.#state)) {
      if (!this.#announced.has(id)) this.#announcer.say(strings.approvalNeeded(strings.toolAction(name)));
      this.#announced.add(id);
    }
    if (event.type === "run.waiting") {
      const agent = this.#state.messages.get(this.#state.runs.get(event.run)?.key ?? "")?.run?.agent;
      this.#announcer.say(strings.doing.waits(agent?.name ?? strings.assistant, Math.ceil(event.retry_in)));
    }
    if (event.type === "run.fallback") {
      const agent = this.#state.messages.get(this.#state.runs.get(event.run)?.key ?? "")?.run?.agent;
      this.#announcer.say(strings.doing.fallsBack(agent?.name ?? strings.assistant));
    }
    if (event.type === "run.queued") this.#announcer.say(strings.place(event.place));
    if (event.type === "run.started") {
      this.#announcer.started(event.run, strings.answerStarted(event.message.run?.agent?.name ?? strings.assistant));
    }
    if (event.type === "run.finished" && event.message?.run) {
      const { run, text } = event.message;
      this.#announcer.finished({ run, text }, outcomeOf(event.message, you)?.sentence ?? strings.answerComplete);
    }
  }
}

/** @param {ConversationObject|null} conversation */
function placeholder(conversation) {
  if (!conversation) return "";
  const { answers = "always", agent } = conversation;
  if (answers === "off") return strings.placeholderOff;
  return answers === "mention" ? strings.placeholderMention(agent.slug) : strings.placeholder(agent.name);
}

/** The agents of the conversation, then its other participants. @param {State} state */
function mentionable({ conversation, participants, you }) {
  const agents = conversation?.agents ?? [];
  const people = [...participants.values()].map(({ user }) => user).filter(({ id }) => id !== you?.id);
  return [
    ...agents.map(({ slug, name, picture }) => ({ handle: slug, name, picture, person: null })),
    ...people.map((person) => ({ handle: person.name, name: person.name, person })),
  ];
}
