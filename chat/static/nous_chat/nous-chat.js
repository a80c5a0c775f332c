// Defines <nous-chat>, the chat as one element: with `list` the whole product, without it one conversation. Its
// attributes come in; it opens conversations, keeps the list and the page's address, and says how the connection is in
// `data-connection`. What happens inside a conversation is conversation.js's matter.

import { createConversation } from "./api.js";
import { Bar } from "./bar.js";
import { Conversation } from "./conversation.js";
import { el, icon } from "./dom.js";
import { ConversationList } from "./list.js";
import { Socket } from "./socket.js";
import { speak, words } from "./words.js";

/**
 * Attributes: `api`, `socket`, `base`, `login` and `stylesheet` (URLs), `csrf` (Django's token), `conversation` (id),
 * `list` (with the list of conversations). Changing `conversation` opens another one.
 */
class NousChat extends HTMLElement {
  static observedAttributes = ["conversation"];

  #conversation = null;
  #person = null;
  #beginning = false;
  #inbox; #list; #nav; #menu; #stage; #region; #bar;
  #moved = () => this.#address(location.pathname);
  #pressed = (event) => this.#key(event);

  connectedCallback() {
    if (!this.shadowRoot) this.#build();
    this.addEventListener("keydown", this.#pressed);
    if (this.#list) {
      addEventListener("popstate", this.#moved);
      this.#inbox = new Socket(this.getAttribute("socket"), {
        onEvent: (event) => this.#heard(event),
        onConnection: (connection) => this.#inboxIs(connection),
      });
      this.#inbox.open();
    }
    this.#mount(this.getAttribute("conversation"));
  }

  disconnectedCallback() {
    this.removeEventListener("keydown", this.#pressed);
    removeEventListener("popstate", this.#moved);
    this.#inbox?.close();
    this.#bar.stop();
    this.#mount(null);
  }

  attributeChangedCallback(name, before, id) {
    if (this.#stage && this.isConnected && before !== id) this.#mount(id);
  }

  #build() {
    const catalogue = this.querySelector(":scope > script[type='application/json']");
    if (catalogue) speak(JSON.parse(catalogue.textContent));
    const shell = el("div", { class: "shell", hidden: true });
    const show = () => (shell.hidden = false);
    const style = el("link", { rel: "stylesheet", href: this.getAttribute("stylesheet"), onload: show, onerror: show });
    this.#region = el("div", { class: "unseen", role: "status", "aria-live": "polite" });
    this.#bar = new Bar({ login: this.getAttribute("login"), onNow: () => this.#inbox.reconnect() });
    this.#stage = el("div", { class: "stage" });
    if (this.hasAttribute("list")) {
      this.#list = new ConversationList({ href: (id) => this.#href(id), onOpen: (id) => this.#open(id) });
      this.#nav = el("nav", { id: "conversations", popover: "auto", "aria-label": words.conversations },
        el("button", { type: "button", class: "new", onclick: () => this.#begin() }, icon("plus"), words.newConversation),
        this.#list.element);
      this.#menu = el("button", { type: "button", class: "bare menu", popovertarget: "conversations",
        "aria-label": words.conversations, title: words.conversations }, icon("menu"));
      shell.append(this.#nav);
    }
    shell.append(this.#stage, this.#region);
    this.attachShadow({ mode: "open" }).append(style, shell);
  }

  /** Puts a conversation on the stage; null clears it. */
  #mount(id) {
    this.#conversation?.stop();
    this.#conversation = id ? this.#make(id) : null;
    if (this.#list) this.#list.current = id;
    this.#stage.replaceChildren(this.#conversation?.element ?? this.#bar.element);
    if (!this.#conversation) return;
    if (this.#menu) this.#conversation.lead = this.#menu;
    this.#conversation.start();
  }

  #make(id) {
    return new Conversation({
      id,
      socket: this.getAttribute("socket"),
      login: this.getAttribute("login"),
      heading: this.#list ? "h1" : "h2",
      region: this.#region,
      person: this.#person,
      onConnection: (name) => (this.dataset.connection = name),
      onConversation: (conversation, you) => {
        this.#person = you.id;
        if (!this.#list) return;
        this.#list.apply({ type: "conversation.updated", conversation });
        document.title = conversation.title || words.untitled;
      },
    });
  }

  #heard(event) {
    if (event.type === "snapshot") this.#person = event.you.id;
    this.#list.apply(event);
    if (event.type === "snapshot" && !this.#conversation) this.#begin({ replace: true });
  }

  /** While no conversation is open, the inbox's connection is the one that counts. */
  #inboxIs(connection) {
    if (this.#conversation) return;
    this.dataset.connection = connection.name;
    this.#bar.show(connection);
  }

  /** A conversation that is still empty is as good as a new one. */
  async #begin({ replace = false } = {}) {
    if (this.#beginning) return;
    this.#beginning = true;
    try {
      const { newest } = this.#list;
      const empty = newest?.last_seq === 0;
      const conversation = empty ? newest : await createConversation(this.getAttribute("api"), this.getAttribute("csrf"));
      this.#list.apply({ type: "conversation.updated", conversation });
      this.#open(conversation.id, replace);
      if (!replace) this.#conversation.focus();
    } catch (refusal) {
      this.#complain(refusal, replace);
    } finally {
      this.#beginning = false;
    }
  }

  #complain({ status, message }, replace) {
    const sentence = status === 401 ? words.signedOut : message || words.unreachable;
    if (this.#conversation) return this.#conversation.say(sentence);
    this.#stage.replaceChildren(el("p", { class: "blank" }, sentence, " ",
      el("button", { type: "button", class: "quiet", onclick: () => this.#begin({ replace }) }, words.retry)));
  }

  #open(id, replace = false) {
    if (this.#nav.matches(":popover-open")) this.#nav.hidePopover();
    if (id === this.getAttribute("conversation")) return;
    history[replace ? "replaceState" : "pushState"](null, "", this.#href(id));
    this.setAttribute("conversation", id);
  }

  #href(id) {
    return `${this.getAttribute("base")}${id}/`;
  }

  /** The reader went back or forward. */
  #address(path) {
    const base = this.getAttribute("base");
    const id = path.startsWith(base) ? path.slice(base.length).split("/")[0] : "";
    if (id) this.setAttribute("conversation", id);
  }

  #key(event) {
    if (event.key !== "Escape" || event.isComposing || this.#nav?.matches(":popover-open")) return;
    if (this.#conversation?.stopRun()) event.preventDefault();
  }
}

customElements.define("nous-chat", NousChat);
