// One conversation on the page. Events come from its socket, apply.js says what they change, the views show it; what the
// person does becomes commands in requests.js. Made and dropped by nous-chat.js as conversations are opened.

import { Composer } from "../composer/composer.js";
import { Drop } from "../composer/drop-target.js";
import { words } from "../i18n/strings.js";
import { showVersions } from "../message/edit-history.js";
import { endOf } from "../message/outcome.js";
import { sentenceOf } from "../message/tool-call.js";
import { Follower } from "../protocol/acknowledge.js";
import { attempt } from "../protocol/api.js";
import { Requests } from "../protocol/commands.js";
import { mayStop, mayWrite } from "../protocol/permissions.js";
import { activeRuns, apply, emptyState, keyOf, lastMessage, messageOf, waitingCalls } from "../protocol/reducer.js";
import { Socket } from "../protocol/socket.js";
import { Announcer } from "../ui/announcer.js";
import { el } from "../ui/dom.js";
import { Activity } from "./activity.js";
import { Bar, sentenceFor } from "./connection-bar.js";
import { Foot } from "./empty-state.js";
import { Head } from "./header.js";
import { Messages } from "./message-list.js";

const TYPING_FADES = 60_000; // in case the frame that ends it is lost

export class Conversation {
  #state = emptyState();
  #options;
  #socket;
  #requests;
  #follower;
  #announcer;
  #bar;
  #head;
  #messages;
  #foot;
  #composer;
  #activity;
  #asked = new Set(); // calls whose need of an approval has been announced
  #clock = 0;
  #fading = 0;

  /**
   * @param {object} options
   * @param {string} options.id
   * @param {import("../protocol/api.js").Api} options.api
   * @param {string} options.socket URL of the sockets; the id is appended
   * @param {string} options.login URL of the sign-in page
   * @param {string} options.heading tag of the title
   * @param {HTMLElement} options.region polite live region for screen readers
   * @param {string|null} options.person id of the person, if it is known already
   * @param {(name: string) => void} options.onConnection
   * @param {(state: import("../protocol/reducer.js").State) => void} options.onState the conversation or its people are known, or have changed
   * @param {(conversation: object) => void} options.onFork another one begins from this one
   */
  constructor(options) {
    const { id, api } = options;
    this.#options = options;
    this.#socket = new Socket(`${options.socket}${id}/`, {
      onEvent: (event) => this.#receive(event),
      onConnection: (connection) => this.#connected(connection),
    });
    this.#requests = new Requests(id, this.#state, {
      send: (command) => this.#socket.send(command),
      apply: (event) => this.#apply(event),
      returned: (message) => this.#composer.giveBack(message),
      refused: (message, sentence) => this.#messages.refused(message, sentence),
      say: (sentence) => this.say(sentence),
    });
    const requests = this.#requests;
    this.#follower = new Follower(this.#state, (command) => this.#socket.send(command));
    this.#announcer = new Announcer(options.region, this.#state);
    this.#activity = new Activity(this.#state);
    this.#bar = new Bar({ login: options.login, onNow: () => this.#socket.reconnect() });
    this.#head = new Head(options.heading);
    this.#foot = new Foot({ send: (text) => this.send({ text }), again: () => this.#ask("again") });
    this.#messages = new Messages(this.#state, {
      foot: this.#foot.element,
      acts: {
        again: (message) => this.#ask("again", message),
        proceed: (message) => this.#ask("proceed", message),
        decide: (call, decision) => requests.decide(call, decision),
        reply: ({ id }) => this.#composer.reply(id),
        edit: (message, text, resend) => requests.edit(message, text, resend),
        remove: (message) => requests.remove(message),
        restore: (message) => requests.restore(message),
        choose: (message) => requests.choose(message),
        fork: (message) => this.#try(async () => options.onFork(await api.fork(id, message))),
        versions: (message) => this.#try(async () => showVersions(this.element, (await api.edits(id, message)).edits)),
        leave: () => this.focus(),
      },
      onEarlier: (before) => requests.earlier(before),
    });
    this.#composer = new Composer({
      send: (message) => this.send(message),
      stop: () => this.stopRun(),
      editLast: () => this.#messages.editLast(),
      draft: (message) => (requests.draft = message),
      message: (id) => messageOf(this.#state, id),
      typing: (on) => requests.typing(on),
      mentionable: () => mentionable(this.#state),
      files: {
        upload: (file, onProgress) => api.upload(id, file, onProgress),
        find: (attachment) => api.find(attachment),
        discard: (attachment) => api.discard(attachment).catch(() => {}), // the server forgets it in a day
      },
    });
    this.element = el(
      "section",
      { class: "conversation", "data-loading": true },
      this.#head.element,
      this.#bar.element,
      this.#messages.element,
      el("footer", {}, this.#messages.scroller.button, this.#activity.element, this.#composer.element),
    );
    const drop = new Drop(this.element, {
      allowed: () => mayWrite(this.#state.you),
      files: (files) => this.#composer.attach(files),
    });
    this.element.append(drop.element);
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

  /** Whether nothing has been said in it; lists hear of what is said a moment later. */
  get empty() {
    return this.#state.messages.size === 0;
  }

  /** Shows a sentence near the composer. */
  say(sentence) {
    this.#composer.say(sentence);
    this.#announcer.say(sentence);
  }

  /** Goes to a message. @param {string} id */
  reveal(id) {
    this.#messages.reveal(id);
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

  /** Sends a message, now or when the connection is back. @param {object} message as in requests.js */
  send(message) {
    this.#requests.say(message);
    this.#messages.scroller.toEnd();
    this.#composer.stay();
  }

  /** Stops the answer that is being made; says whether there is one. */
  stopRun() {
    return (this.#running?.stoppable ?? false) && this.#requests.stop();
  }

  /** @param {"again"|"proceed"} how  @param {string} [message] the answer */
  #ask(how, message) {
    this.#requests[how](message);
    this.#composer.say(null);
    this.#refresh();
    this.#messages.scroller.toEnd();
  }

  #try(work) {
    return attempt(work, (reason) => this.say(reason));
  }

  // --- What the server says

  #receive(event) {
    if (event.type === "presence") event.at = Date.now();
    this.#apply(event);
    if (event.type === "snapshot") this.#arrived(event);
    if (event.type === "ack" || event.type === "error") this.#requests.answered(event);
    if (event.type === "error" && event.ref === "earlier") this.#messages.loaded();
    if (event.type === "typing") this.#fade();
    if (event.type === "notice") this.#announcer.say(event.message);
    if (event.type === "notice" || event.type === "snapshot") this.#tell();
    if (event.type === "ack" || event.type === "error") this.#refresh();
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

  /** The first event of a socket, or a fresh start in the middle. */
  #arrived({ you }) {
    this.element.removeAttribute("data-loading");
    this.#takeUp(you.id);
    this.#follower.reset();
    this.#requests.arrived();
  }

  #takeUp(person) {
    if (!this.#requests.takeUp(person) || !this.#composer.untouched) return;
    if (this.#requests.draft) this.#composer.giveBack(this.#requests.draft);
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
    this.#tell();
    this.#options.onConnection(name);
    this.#refresh();
    if (name === before || (name === "live" && before === "connecting")) return;
    this.#announcer.say(name === "live" ? words.connected : sentenceFor(connection));
  }

  #tick() {
    const now = Date.now();
    this.#follower.tick(now);
    this.#announcer.tick();
    this.#activity.show(now);
    if (this.#state.presence.size) this.#apply({ type: "presence.faded", now });
    if (this.#messages.scroller.atEnd && !document.hidden && this.#state.you) this.#requests.read(this.#state.last);
  }

  // --- What is shown of the state as a whole; deltas change none of it

  /** How the connection is, and what the server is without. The bar takes its place; what is read stays where it is. */
  #tell() {
    const outages = [...this.#state.outages.values()].join(" ");
    this.#messages.scroller.steady(() => this.#bar.show(this.#socket.connection, outages));
  }

  #refresh() {
    const state = this.#state;
    const { conversation } = state;
    const { name: connection, code } = this.#socket.connection;
    const running = this.#running;
    const writer = state.you === null || mayWrite(state.you);
    const barred = code === 4403 || code === 4404;
    const last = lastMessage(state);
    const may = connection === "live" && writer && running === null && !this.#requests.asking;

    this.#head.show(state);
    this.#messages.offer(may && last?.run ? keyOf(state, last) : null);
    this.#foot.show(state, { writer, retry: may });
    this.#activity.show(Date.now());
    this.#composer.show({ writer, barred, running, placeholder: placeholder(conversation) });
  }

  /** The answer that is being made, as composer.js wants to know of it: another's is not interrupted without being asked. */
  get #running() {
    const { conversation, messages, you } = this.#state;
    const [active] = activeRuns(this.#state);
    if (!active) return null;
    const run = messages.get(active[1].key)?.run ?? {};
    const own = run.launched_by === undefined || run.launched_by?.id === you?.id;
    return {
      stoppable: mayStop(run, you),
      mode: own ? (conversation?.mode ?? "interrupt") : "queue",
      asked: (text) => conversation?.answers === "always" || text.includes("@"),
    };
  }

  #announce(event) {
    const { you } = this.#state;
    const message = event.message;
    if (event.type === "message.created" && message.author?.id !== you.id) {
      this.#announcer.say(message.author ? words.said(message.author.name, message.text) : message.text);
    }
    if (event.type === "run.tool" && event.call.decided_by && this.#asked.delete(event.call.id)) {
      this.#announcer.say(sentenceOf(event.call));
    }
    for (const { id, name } of event.type === "run.delta" ? [] : waitingCalls(this.#state)) {
      if (!this.#asked.has(id)) this.#announcer.say(words.approvalNeeded(words.plainly(name)));
      this.#asked.add(id);
    }
    if (event.type === "run.queued") this.#announcer.say(words.place(event.place));
    if (event.type === "run.started") this.#announcer.started(event.run, words.answerStarted(message.run.agent.name));
    if (event.type === "run.finished" && message) {
      this.#announcer.finished(message, endOf(message, you)?.sentence ?? words.answerComplete);
    }
  }
}

function placeholder(conversation) {
  if (!conversation) return "";
  const { answers = "always", agent } = conversation;
  if (answers === "off") return words.placeholderOff;
  return answers === "mention" ? words.placeholderMention(agent.slug) : words.placeholder(agent.name);
}

/** The agents of the conversation, then the other people in it. */
function mentionable({ conversation, participants, you }) {
  const agents = conversation?.agents ?? [];
  const people = [...participants.values()].map(({ user }) => user).filter(({ id }) => id !== you?.id);
  return [
    ...agents.map(({ slug, name }) => ({ handle: slug, name, person: null })),
    ...people.map((person) => ({ handle: person.name, name: person.name, person })),
  ];
}
