// Defines <nous-chat>, the chat as a custom element: with `list` the whole product, without it one conversation. It reads
// its attributes, opens conversations, keeps the sidebar and the page's address up to date, and reflects the connection
// in `data-connection`. conversation.js handles what happens in a conversation.

import { ConnectionBar } from "./conversation/connection-bar.js";
import { Conversation } from "./conversation/conversation.js";
import { Fallback } from "./conversation/fallback.js";
import { setCurrency, setLanguage, strings } from "./i18n/strings.js";
import { site } from "./markdown/site.js";
import { Panel } from "./panel/panel.js";
import { Api, Refused } from "./protocol/api.js";
import { limits } from "./protocol/commands.js";
import { may, setUndoSeconds } from "./protocol/permissions.js";
import { Socket } from "./protocol/socket.js";
import { Sidebar } from "./sidebar/sidebar.js";
import { Switcher } from "./sidebar/switcher.js";
import { announceIn } from "./ui/announcer.js";
import { el, iconButton, textButton } from "./ui/dom.js";
import { isTouch, leaveToInputMethod, Shortcuts } from "./ui/keyboard.js";
import { Toast } from "./ui/toast.js";

const LONGEST_TIMER = 86_400_000; // ms, a day: browsers take no more than 25 days

/**
 * @import { Conversation as ConversationObject, InboxEvent, Place, State } from "./protocol/types.d.ts"
 * @import { Connection } from "./protocol/socket.js"
 */

/**
 * Attributes: `api`, `socket`, `base`, `login` and `stylesheet` (URLs), `csrf` (Django's token), `conversation` (id), `list`
 * (shows the list of conversations), `images` (hosts whose images answers may show, separated by spaces) and `diagram`
 * (URL of the page that draws diagrams), `preview` (of the page that shows HTML documents), and `document-stylesheet`.
 * Changing `conversation` opens another one. A JSON script among its children
 * holds `words` (a Catalogue of gettext.js), `currency`, `undo` and `renew` (seconds), `agents` (all agents of the site), `user` (id),
 * `guest` (true if they have no account), `may` (of permissions.js) and `limits` (of commands.js).
 */
class NousChat extends HTMLElement {
  static observedAttributes = ["conversation"];

  /** @type {Conversation|null} */
  #conversation = null;
  /** @type {string|null} id of the user */
  #user = null;
  /** @type {Place & {words?: string[]}} where to go in the conversation that is opened next, and the words to mark there */
  #target = {};
  #creating = false;
  #navigated = () => this.#openFromAddress(location);
  #pressed = (/** @type {KeyboardEvent} */ event) => this.#key(event);
  #pressedAnywhere = (/** @type {KeyboardEvent} */ event) => this.#keyAnywhere(event);

  // Created by #build when the element is connected for the first time.
  /** @type {Api} */
  #api;
  /** @type {Panel} */
  #panel;
  /** @type {Shortcuts} */
  #shortcuts;
  /** @type {Toast} */
  #toast;
  /** @type {ConnectionBar} */
  #bar;
  /** @type {HTMLElement} */
  #region;
  /** @type {HTMLElement|undefined} */
  #stage;
  /** @type {Fallback} */
  #fallback;

  /** @type {HTMLElement|undefined} only for guests */
  #guestBar;
  #renewEvery = 0; // ms; 0 if the session's cookie is not renewed by requests
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #renewing;

  // Only with the list.
  /** @type {Sidebar|undefined} */
  #sidebar;
  /** @type {Switcher|undefined} */
  #switcher;
  /** @type {Socket|undefined} */
  #inbox;
  /** @type {HTMLElement|undefined} */
  #menuButton;

  connectedCallback() {
    if (!this.shadowRoot) this.#build();
    this.addEventListener("keydown", this.#pressed);
    if (this.#sidebar) {
      addEventListener("popstate", this.#navigated);
      document.addEventListener("keydown", this.#pressedAnywhere);
      this.#sidebar.start();
      this.#inbox = new Socket(this.#attribute("socket"), {
        onEvent: (event) => this.#receive(event),
        onConnection: (connection) => this.#inboxChanged(connection),
      });
      this.#inbox.open();
      this.#target = placeIn(location);
    }
    // Only a response can renew the cookie of a sliding session; the socket renews what the server keeps of it.
    if (this.#renewEvery) this.#renewing = setInterval(() => this.#api.renewToken().catch(() => {}), this.#renewEvery);
    this.#mount(this.getAttribute("conversation"));
  }

  disconnectedCallback() {
    clearInterval(this.#renewing);
    this.removeEventListener("keydown", this.#pressed);
    removeEventListener("popstate", this.#navigated);
    document.removeEventListener("keydown", this.#pressedAnywhere);
    this.#sidebar?.stop();
    this.#inbox?.close();
    this.#bar.stop();
    this.#mount(null);
  }

  /** @param {string} _name  @param {string|null} before  @param {string|null} id */
  attributeChangedCallback(_name, before, id) {
    if (this.#stage && this.isConnected && before !== id) this.#mount(id);
  }

  /** @param {string} name */
  #attribute(name) {
    return this.getAttribute(name) ?? "";
  }

  #build() {
    const setup = JSON.parse(this.querySelector(":scope > script[type='application/json']")?.textContent ?? "{}");
    if (setup.words) setLanguage(setup.words);
    if (setup.currency) setCurrency(setup.currency);
    if ("undo" in setup) setUndoSeconds(setup.undo);
    this.#renewEvery = Math.min((setup.renew ?? 0) * 1000, LONGEST_TIMER);
    Object.assign(limits, setup.limits);
    Object.assign(may, setup.may);
    this.#user = setup.user ?? null;
    site.images = new Set(this.#attribute("images").split(/\s+/).filter(Boolean));
    site.diagram = this.getAttribute("diagram");
    site.preview = this.getAttribute("preview");
    site.documentStyles = this.getAttribute("document-stylesheet");
    const shell = el("div", { class: "shell", hidden: true });
    const show = () => {
      shell.hidden = false;
      this.#focusField();
    };
    const style = el("link", { rel: "stylesheet", href: this.getAttribute("stylesheet"), onload: show, onerror: show });
    this.#api = new Api(this.#attribute("api"), this.#attribute("csrf"));
    this.#region = el("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });
    this.#bar = new ConnectionBar({ login: this.#attribute("login"), onReconnect: () => this.#inbox?.reconnect() });
    this.#stage = el("div", { class: "stage" });
    this.#panel = new Panel(this.#api, setup.agents ?? [], (id) => this.#conversation?.documents.show(id));
    this.#shortcuts = new Shortcuts();
    this.#toast = new Toast();
    if (this.hasAttribute("list")) this.#buildSidebar(shell);
    this.#fallback = new Fallback(this);
    if (setup.guest) this.#guestBar = this.#buildGuestBar();
    shell.append(
      this.#stage,
      this.#fallback.element,
      this.#panel.element,
      this.#toast.element,
      this.#shortcuts.element,
      this.#region,
    );
    const root = this.attachShadow({ mode: "open" });
    root.addEventListener("keydown", (event) => leaveToInputMethod(/** @type {KeyboardEvent} */ (event)), true);
    root.append(style, shell);
  }

  /** Says that the user has no account, and where to sign in: the conversation becomes theirs then. */
  #buildGuestBar() {
    const next = encodeURIComponent(location.pathname + location.search);
    const signIn = el("a", { href: `${this.#attribute("login")}?next=${next}` }, strings.signInToKeep);
    return el("p", { class: "guest" }, strings.guest, " ", signIn);
  }

  /** @param {HTMLElement} shell */
  #buildSidebar(shell) {
    const sidebar = new Sidebar(
      { api: this.#api, href: (id, place) => this.#href(id, place), tokens: `${this.#attribute("base")}tokens/` },
      {
        open: (id, place, words) => this.#open(id, { ...place, words }),
        create: () => this.#create(),
        showShortcuts: () => this.#shortcuts.show(),
        deleted: (id) => id === this.getAttribute("conversation") && this.#openAnother(),
        notify: (sentence, undo, undoTime) => {
          this.#toast.show(sentence, undo, undoTime);
          this.#say(sentence);
        },
        say: (sentence) => this.#say(sentence),
      },
    );
    this.#sidebar = sidebar;
    this.#switcher = new Switcher({
      conversations: () => sidebar.conversations,
      open: (id) => this.#open(id),
      create: () => this.#create(),
    });
    this.#menuButton = iconButton("menu", strings.conversations, {
      class: "icon-button menu",
      popovertarget: "conversations",
    });
    const skip = textButton(strings.skipToField, () => this.#conversation?.focus(), { class: "skip" });
    shell.append(skip, sidebar.element, this.#switcher.element);
  }

  /** Shows a conversation; null shows none. @param {string|null} id */
  #mount(id) {
    this.#conversation?.stop();
    this.#conversation = id ? this.#createView(id) : null;
    if (this.#sidebar) this.#sidebar.current = id;
    if (this.#conversation)
      this.#stage?.replaceChildren(this.#conversation.element, this.#conversation.documents.element);
    else this.#stage?.replaceChildren(this.#bar.element);
    if (!id || !this.#conversation) return;
    this.#panel.open(id);
    this.#conversation.addButtons(this.#menuButton ?? "", this.#guestBar ?? this.#panel.button);
    this.#conversation.start();
    const { message, document, words = [] } = this.#target;
    if (message) this.#conversation.reveal(message, words);
    else if (document) this.#conversation.documents.show(document);
    else this.#focusField();
    this.#target = {};
  }

  /** Not where that would open a phone's keyboard, interrupt typing elsewhere, or take the focus from a site's own page. */
  #focusField() {
    const elsewhere = this.shadowRoot?.activeElement?.matches("input, textarea, [open]");
    if (this.#sidebar && !isTouch() && !elsewhere) this.#conversation?.focus({ preventScroll: true });
  }

  /** @param {string} id */
  #createView(id) {
    return new Conversation({
      id,
      api: this.#api,
      socket: this.#attribute("socket"),
      login: this.#attribute("login"),
      heading: this.#sidebar ? "h1" : "h2",
      region: this.#region,
      user: this.#user,
      onConnection: (connection) => this.#connectionChanged(connection),
      onState: (state) => this.#stateChanged(state),
      onFork: (conversation) => this.#created(conversation),
    });
  }

  /** The open conversation or its participants have been loaded or changed. @param {State} state */
  #stateChanged(state) {
    if (!state.you || !state.conversation) return;
    const user = (this.#user = state.you.id);
    this.#panel.show(state);
    if (!this.#sidebar) return;
    // A user who has just left still receives its events until the socket is closed, but no longer has it in the list.
    const participates = [...state.participants.values()].some((participant) => participant.user.id === user);
    if (participates && state.conversation.listed)
      this.#sidebar.apply({ type: "conversation.updated", conversation: state.conversation });
    this.#updateTitle();
  }

  /** @param {InboxEvent} event */
  #receive(event) {
    if (event.type === "snapshot") this.#user = event.you.id;
    this.#sidebar?.apply(event);
    if (event.type === "snapshot" && !this.#conversation) this.#begin();
    this.#updateTitle();
  }

  /** Sets the window's title: the number of unread messages, and the open conversation. */
  #updateTitle() {
    const open = this.#sidebar?.conversations.find(({ id }) => id === this.getAttribute("conversation"));
    if (!this.#sidebar || !open) return;
    const unread = this.#sidebar.unread;
    document.title = (unread ? `(${strings.number(unread)}) ` : "") + (open.title || strings.untitled);
  }

  /** While no conversation is open, the connection of the inbox is shown. @param {Connection} connection */
  #inboxChanged(connection) {
    if (this.getAttribute("conversation")) return;
    this.#bar.show(connection);
    this.#connectionChanged(connection);
  }

  /** @param {Connection} connection of the conversation, or of the inbox while none is open */
  #connectionChanged({ name, code, stuck }) {
    const wasLive = this.dataset.connection === "live";
    this.dataset.connection = name;
    if (name === "live") this.#hideFallback();
    else if (this.#fallback.expected) this.#showFallback();
    else if (stuck && !this.#fallback.shown) this.#ask(() => this.dataset.connection === name && this.#showFallback());
    else if (code === 4401 && wasLive) {
      this.#ask(() => {
        for (const socket of this.#sockets) socket.reopen();
      });
    }
  }

  /**
   * Asks the server over HTTP whether the network is the reason that no WebSocket opens, or whether the user, whose old
   * session has ended, is signed in with a new one.
   * @param {() => void} then called if the server answers this user
   */
  async #ask(then) {
    try {
      if ((await this.#api.renewToken()) === this.#user) then();
      else location.reload();
    } catch (refused) {
      if (refused instanceof Refused && refused.status === 401) for (const socket of this.#sockets) socket.end(4401);
    }
  }

  get #sockets() {
    return [this.#inbox, this.#conversation?.socket].filter((socket) => socket !== undefined);
  }

  #showFallback() {
    if (this.#fallback.shown) return;
    if (!this.#fallback.show(this.#conversation)) return this.#conversation?.blocked();
    if (this.#stage) this.#stage.hidden = true;
    this.#api.conversations().then(
      (page) => this.#sidebar?.apply(page),
      () => {}, // there is a link to the list
    );
  }

  #hideFallback() {
    this.#fallback.hide();
    if (this.#stage) this.#stage.hidden = false;
  }

  /** No conversation is open: opens a new one, or the newest if the user may not create any. */
  #begin() {
    const newest = this.#sidebar?.conversations[0];
    if (may.create) this.#create({ replace: true });
    else if (newest) this.#open(newest.id, { replace: true });
    else this.#stage?.replaceChildren(el("p", { class: "blank" }, strings.noConversations));
  }

  /**
   * Opens a new conversation. One that is still empty and untitled is used again, or each visit would leave one behind.
   * @param {{replace?: boolean}} [options] `replace` the current history entry
   */
  async #create({ replace = false } = {}) {
    if (this.#creating) return;
    this.#creating = true;
    try {
      const unused = this.#sidebar?.conversations.find(
        ({ id, title, last_seq }) =>
          !title && !last_seq && (id !== this.getAttribute("conversation") || this.#conversation?.empty),
      );
      this.#created(unused ?? (await this.#api.createConversation()), replace);
      if (!replace) this.#conversation?.focus({ preventScroll: true });
    } catch (refused) {
      this.#complain(/** @type {Refused} */ (refused), replace);
    } finally {
      this.#creating = false;
    }
  }

  /** Opens a conversation that was just created. @param {ConversationObject} conversation  @param {boolean} [replace] */
  #created(conversation, replace = false) {
    if (!this.#sidebar) return location.assign(conversation.url); // this page shows one conversation only
    this.#sidebar.apply({ type: "conversation.updated", conversation });
    this.#open(conversation.id, { replace });
  }

  /** @param {Refused} refused  @param {boolean} replace */
  #complain({ message }, replace) {
    if (this.#conversation) return this.#conversation.say(message);
    this.#stage?.replaceChildren(
      el(
        "p",
        { class: "blank" },
        message,
        " ",
        textButton(strings.retry, () => this.#create({ replace })),
      ),
    );
  }

  /** Leaves a deleted conversation: opens the newest of the others, or a new one. */
  #openAnother() {
    const newest = this.#sidebar?.conversations[0];
    if (newest) this.#open(newest.id, { replace: true });
    else if (may.create) this.#create({ replace: true });
    else location.assign(this.#attribute("base"));
    return true;
  }

  /** @param {string} id  @param {Place & {words?: string[], replace?: boolean}} [options] where to go, and the words to mark in a message */
  #open(id, { message, document, words = [], replace = false } = {}) {
    this.#sidebar?.element.hidePopover(); // on a phone it is a drawer
    const isOpen = id === this.getAttribute("conversation");
    if (isOpen && !message && !document) return;
    const address = this.#href(id, { message, document });
    if (this.#fallback.shown) return location.assign(address); // the server renders it
    history[replace ? "replaceState" : "pushState"](null, "", address);
    if (isOpen && message) return this.#conversation?.reveal(message, words);
    if (isOpen && document) return this.#conversation?.documents.show(document);
    this.#target = { message, document, words };
    this.setAttribute("conversation", id);
  }

  /** @param {string} id  @param {Place} [place] */
  #href(id, { message, document } = {}) {
    const hash = message ? `#message-${message}` : document ? `#document-${document}` : "";
    return `${this.#attribute("base")}${id}/${hash}`;
  }

  /** The user went back or forward. @param {Location} location */
  #openFromAddress({ pathname }) {
    const base = this.#attribute("base");
    const id = pathname.startsWith(base) ? pathname.slice(base.length).split("/")[0] : "";
    if (id) this.setAttribute("conversation", id);
  }

  /** @param {string} sentence for screen readers */
  #say(sentence) {
    announceIn(this.#region, sentence);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const inside = (/** @type {string} */ selector) =>
      event.composedPath().some((each) => each instanceof Element && each.matches(selector));
    if (event.defaultPrevented || inside("dialog, :popover-open")) return;
    if (this.shadowRoot?.querySelector("dialog:modal, nav:popover-open")) return; // the focus may be outside of it
    if (event.key === "Escape" && !inside(".document") && this.#conversation?.stopRun()) event.preventDefault();
    if (event.key === "?" && !inside("input, textarea, select, .document")) this.#shortcuts.show();
  }

  /** Ctrl+K works wherever the focus is; the other keys also where nothing has it. @param {KeyboardEvent} event */
  #keyAnywhere(event) {
    if (event.target === document.body) this.#key(event);
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    this.#switcher?.show();
  }
}

/** What `#message-<id>` or `#document-<id>` at the end of an address names. @param {Location} location  @returns {Place} */
function placeIn({ hash }) {
  const [, kind, id] = /^#(message|document)-([0-9a-f-]{36})$/.exec(hash) ?? [];
  return kind ? { [kind]: id } : {};
}

customElements.define("nous-chat", NousChat);
