// Defines <nous-chat>, the chat as one element: with `list` the whole product, without it one conversation. Its
// attributes come in; it opens conversations, keeps the list and the page's address, and says how the connection is in
// `data-connection`. What happens inside a conversation is conversation.js's matter.

import { Bar } from "./conversation/connection-bar.js";
import { Conversation } from "./conversation/conversation.js";
import { payIn, speak, words } from "./i18n/strings.js";
import { site } from "./markdown/site.js";
import { Panel } from "./panel/panel.js";
import { Api } from "./protocol/api.js";
import { undoWithin } from "./protocol/permissions.js";
import { Socket } from "./protocol/socket.js";
import { Sidebar } from "./sidebar/sidebar.js";
import { Switcher } from "./sidebar/switcher.js";
import { sayIn } from "./ui/announcer.js";
import { el, iconButton, quietButton } from "./ui/dom.js";
import { Keys } from "./ui/shortcuts.js";
import { Toast } from "./ui/toast.js";

/**
 * Attributes: `api`, `socket`, `base`, `login` and `stylesheet` (URLs), `csrf` (Django's token), `conversation` (id),
 * `list` (with the list of conversations), `images` (hosts whose pictures answers may show, with blanks between) and
 * `diagram` (URL of the page that draws diagrams). Changing `conversation` opens another one. A JSON script among its
 * children holds `words` (what language.js calls a Catalogue) and `agents` (all of the site, each with `slug` and `name`).
 */
class NousChat extends HTMLElement {
  static observedAttributes = ["conversation"];

  #conversation = null;
  #person = null;
  #beginning = false;
  #wanted = null; // the message at which the conversation is to be opened
  #api;
  #inbox;
  #sidebar;
  #menu;
  #stage;
  #panel;
  #switcher;
  #keys;
  #toast;
  #region;
  #bar;
  #moved = () => this.#address(location);
  #pressed = (event) => this.#key(event);
  #pressedAnywhere = (event) => this.#keyAnywhere(event);

  connectedCallback() {
    if (!this.shadowRoot) this.#build();
    this.addEventListener("keydown", this.#pressed);
    if (this.#sidebar) {
      addEventListener("popstate", this.#moved);
      document.addEventListener("keydown", this.#pressedAnywhere);
      this.#sidebar.start();
      this.#inbox = new Socket(this.getAttribute("socket"), {
        onEvent: (event) => this.#heard(event),
        onConnection: (connection) => this.#inboxIs(connection),
      });
      this.#inbox.open();
      this.#wanted = messageIn(location);
    }
    this.#mount(this.getAttribute("conversation"));
  }

  disconnectedCallback() {
    this.removeEventListener("keydown", this.#pressed);
    removeEventListener("popstate", this.#moved);
    document.removeEventListener("keydown", this.#pressedAnywhere);
    this.#sidebar?.stop();
    this.#inbox?.close();
    this.#bar.stop();
    this.#mount(null);
  }

  attributeChangedCallback(_name, before, id) {
    if (this.#stage && this.isConnected && before !== id) this.#mount(id);
  }

  #build() {
    const setup = JSON.parse(this.querySelector(":scope > script[type='application/json']")?.textContent ?? "{}");
    if (setup.words) speak(setup.words);
    if (setup.currency) payIn(setup.currency);
    if ("undo" in setup) undoWithin(setup.undo);
    site.images = new Set((this.getAttribute("images") ?? "").split(/\s+/).filter(Boolean));
    site.diagram = this.getAttribute("diagram");
    const shell = el("div", { class: "shell", hidden: true });
    const show = () => (shell.hidden = false);
    const style = el("link", { rel: "stylesheet", href: this.getAttribute("stylesheet"), onload: show, onerror: show });
    this.#api = new Api(this.getAttribute("api"), this.getAttribute("csrf"));
    this.#region = el("div", { class: "unseen", role: "status", "aria-live": "polite" });
    this.#bar = new Bar({ login: this.getAttribute("login"), onNow: () => this.#inbox.reconnect() });
    this.#stage = el("div", { class: "stage" });
    this.#panel = new Panel(this.#api, setup.agents ?? []);
    this.#keys = new Keys();
    this.#toast = new Toast();
    if (this.hasAttribute("list")) this.#buildList(shell);
    shell.append(this.#stage, this.#panel.element, this.#toast.element, this.#keys.element, this.#region);
    this.attachShadow({ mode: "open" }).append(style, shell);
  }

  #buildList(shell) {
    this.#sidebar = new Sidebar(
      { api: this.#api, href: (...place) => this.#href(...place) },
      {
        open: (id, message) => this.#open(id, { message }),
        begin: () => this.#begin(),
        keys: () => this.#keys.show(),
        removed: (id) => id === this.getAttribute("conversation") && !this.#elsewhere(),
        done: (...said) => this.#tell(...said),
        say: (sentence) => this.#say(sentence),
      },
    );
    this.#switcher = new Switcher({
      conversations: () => this.#sidebar.conversations,
      open: (id) => this.#open(id),
      begin: () => this.#begin(),
    });
    this.#menu = iconButton("menu", words.conversations, { class: "bare menu", popovertarget: "conversations" });
    shell.append(this.#sidebar.element, this.#switcher.element);
  }

  /** Puts a conversation on the stage; null clears it. */
  #mount(id) {
    this.#conversation?.stop();
    this.#conversation = id ? this.#make(id) : null;
    if (this.#sidebar) this.#sidebar.current = id;
    this.#stage.replaceChildren(this.#conversation?.element ?? this.#bar.element);
    if (!this.#conversation) return;
    this.#panel.open(id);
    if (this.#menu) this.#conversation.lead = this.#menu;
    this.#conversation.trail = this.#panel.button;
    this.#conversation.start();
    if (this.#wanted) this.#conversation.reveal(this.#wanted);
    this.#wanted = null;
  }

  #make(id) {
    return new Conversation({
      id,
      api: this.#api,
      socket: this.getAttribute("socket"),
      login: this.getAttribute("login"),
      heading: this.#sidebar ? "h1" : "h2",
      region: this.#region,
      person: this.#person,
      onConnection: (name) => (this.dataset.connection = name),
      onState: (state) => this.#knows(state),
      onFork: (conversation) => this.#began(conversation),
    });
  }

  /** The open conversation, or its people, are known or have changed. @param {import("./protocol/reducer.js").State} state */
  #knows(state) {
    this.#person = state.you.id;
    this.#panel.show(state);
    if (!this.#sidebar) return;
    // Who has just left hears of the conversation until its socket is closed, but has it in the list no more.
    const among = [...state.participants.values()].some(({ user }) => user.id === this.#person);
    if (among) this.#sidebar.apply({ type: "conversation.updated", conversation: state.conversation });
    this.#entitle();
  }

  #heard(event) {
    if (event.type === "snapshot") this.#person = event.you.id;
    this.#sidebar.apply(event);
    if (event.type === "snapshot" && !this.#conversation) this.#begin({ replace: true });
    this.#entitle();
  }

  /** The window's title: how much is unread, and what is open. */
  #entitle() {
    const open = this.#sidebar.conversations.find(({ id }) => id === this.getAttribute("conversation"));
    if (!open) return;
    const unread = this.#sidebar.unread;
    document.title = (unread ? `(${words.number(unread)}) ` : "") + (open.title || words.untitled);
  }

  /** While no conversation is open, the inbox's connection is the one that counts. */
  #inboxIs(connection) {
    if (this.#conversation) return;
    this.dataset.connection = connection.name;
    this.#bar.show(connection);
  }

  /** A conversation that is still empty, and has no name yet, is as good as a new one: else each visit would leave one. */
  async #begin({ replace = false } = {}) {
    if (this.#beginning) return;
    this.#beginning = true;
    try {
      const fresh = this.#sidebar.conversations.find(
        ({ id, title, last_seq }) =>
          !title && !last_seq && (id !== this.getAttribute("conversation") || this.#conversation?.empty),
      );
      this.#began(fresh ?? (await this.#api.createConversation()), replace);
      if (!replace) this.#conversation.focus();
    } catch (refusal) {
      this.#complain(refusal, replace);
    } finally {
      this.#beginning = false;
    }
  }

  /** A conversation is there: it is opened; on a page of one conversation that is another page. */
  #began(conversation, replace = false) {
    if (!this.#sidebar) return location.assign(conversation.url);
    this.#sidebar.apply({ type: "conversation.updated", conversation });
    this.#open(conversation.id, { replace });
  }

  #complain({ status, message }, replace) {
    const sentence = status === 401 ? words.signedOut : message;
    if (this.#conversation) return this.#conversation.say(sentence);
    this.#stage.replaceChildren(
      el(
        "p",
        { class: "blank" },
        sentence,
        " ",
        quietButton(words.retry, () => this.#begin({ replace })),
      ),
    );
  }

  /** What was open is no more: the newest of the others, or a new one. */
  #elsewhere() {
    const [newest] = this.#sidebar.conversations;
    if (newest) this.#open(newest.id, { replace: true });
    else this.#begin({ replace: true });
  }

  #open(id, { message = null, replace = false } = {}) {
    this.#sidebar.element.hidePopover(); // on a phone it is a drawer
    const here = id === this.getAttribute("conversation");
    if (here && !message) return;
    history[replace ? "replaceState" : "pushState"](null, "", this.#href(id, message));
    if (here) return this.#conversation.reveal(message);
    this.#wanted = message;
    this.setAttribute("conversation", id);
  }

  #href(id, message = null) {
    return `${this.getAttribute("base")}${id}/${message ? `#message-${message}` : ""}`;
  }

  /** The reader went back or forward. */
  #address({ pathname }) {
    const base = this.getAttribute("base");
    const id = pathname.startsWith(base) ? pathname.slice(base.length).split("/")[0] : "";
    if (id) this.setAttribute("conversation", id);
  }

  #tell(sentence, undo, lasts) {
    this.#toast.show(sentence, undo, lasts);
    this.#say(sentence);
  }

  /** To screen readers. */
  #say(sentence) {
    sayIn(this.#region, sentence);
  }

  #key(event) {
    const inside = (kind) => event.composedPath().some((each) => each.matches?.(kind));
    if (event.defaultPrevented || event.isComposing || inside("dialog, :popover-open")) return;
    if (this.shadowRoot.querySelector("dialog:modal, nav:popover-open")) return; // the focus may be beside it
    if (event.key === "Escape" && this.#conversation?.stopRun()) event.preventDefault();
    if (event.key === "?" && !inside("input, textarea, select")) this.#keys.show();
  }

  /** Wherever the focus is; Escape where it is nowhere, as on a page that has just been loaded. */
  #keyAnywhere(event) {
    if (event.key === "Escape" && event.target === document.body) this.#key(event);
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    this.#switcher.show();
  }
}

/** `#message-<id>` at the end of an address. */
const messageIn = ({ hash }) => /^#message-([0-9a-f-]{36})$/.exec(hash)?.[1] ?? null;

customElements.define("nous-chat", NousChat);
