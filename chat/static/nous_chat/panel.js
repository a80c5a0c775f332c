// Beside the conversation, hidden until asked for: its people, its invitations, its settings. In a wide window it is a
// column, in a narrow one a window of its own. Shows the state of apply.js; what the person does becomes requests, whose
// effects come back as events. Called by nous-chat.js.

import { Refusal } from "./api.js";
import { confirmed } from "./dialog.js";
import { el, icon } from "./dom.js";
import { Invitations } from "./invitations.js";
import { Menu } from "./menu.js";
import { People } from "./people.js";
import { Settings } from "./settings.js";
import { words } from "./words.js";

const COLUMN = 1180; // px of the whole, from where there is room for a third column

export class Panel {
  #api; #agents; #problem; #people; #invitations; #settings; #number;
  #menu = new Menu();
  #id = null;
  #state = null;

  /**
   * @param {import("./api.js").Api} api
   * @param {{slug: string, name: string}[]} agents all of the site
   */
  constructor(api, agents) {
    this.#api = api;
    this.#agents = agents;
    this.#number = el("span", { "aria-hidden": "true" });
    this.button = el("button", { type: "button", class: "bare people", "aria-label": words.panel, title: words.panel, "aria-expanded": "false",
      onclick: () => this.#toggle() }, icon("people"), this.#number);
    this.#problem = el("p", { class: "problem", role: "alert" });
    this.element = el("dialog", { class: "panel", "aria-label": words.panel, onclose: () => this.#closed(),
      onclick: ({ target }) => target === this.element && this.element.close(),
      onkeydown: (event) => this.#key(event) });
  }

  /** Another conversation is on the stage, or none. @param {string|null} id */
  open(id) {
    this.#id = id;
    this.#state = null;
    this.#problem.textContent = "";
    const request = (method) => (...rest) => this.#try(() => this.#api[method](id, ...rest));
    this.#people = new People({
      add: request("addPerson"),
      role: request("changeRole"),
      menu: (button, participant) => this.#menu.open(button, this.#actions(participant)),
    });
    this.#invitations = new Invitations({ load: request("invitations"), invite: request("invite"), revoke: request("revoke") });
    this.#settings = new Settings(this.#agents, request("changeConversation"));
    this.element.replaceChildren(el("div", { class: "window" },
      el("header", {}, el("h2", {}, words.panel),
        el("button", { type: "button", class: "bare", "aria-label": words.close, title: words.close, onclick: () => this.element.close() },
          icon("close"))),
      el("div", { class: "scroller" }, this.#problem, this.#people.element, this.#invitations.element, this.#settings.element),
      this.#menu.element));
    if (this.element.open) this.#filled();
  }

  /** @param {import("./apply.js").State} state */
  show(state) {
    this.#state = state;
    this.#number.textContent = state.participants.size > 1 ? words.number(state.participants.size) : "";
    if (this.element.open) this.#fill();
  }

  #toggle() {
    if (this.element.open) return this.element.close();
    const narrow = this.element.parentElement.clientWidth < COLUMN;
    if (narrow) this.element.showModal();
    else this.element.show();
    this.button.setAttribute("aria-expanded", "true");
    this.#filled();
  }

  #filled() {
    if (!this.#state) return;
    this.#fill();
    if (this.#owner) this.#invitations.refresh();
  }

  get #owner() { return this.#state?.you.role === "owner"; }

  #fill() {
    this.#people.show(this.#state, this.#owner);
    this.#invitations.element.hidden = this.#settings.element.hidden = !this.#owner;
    if (this.#owner) this.#settings.show(this.#state.conversation);
  }

  #closed() {
    this.button.setAttribute("aria-expanded", "false");
    this.button.focus();
  }

  /** As a column it is no modal window, and Escape would stop an answer. */
  #key(event) {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.stopPropagation();
    if (!this.#menu.element.matches(":popover-open")) this.element.close();
  }

  #actions({ id, user }) {
    if (user.id === this.#state.you.id) {
      return [{ icon: "leave", text: words.leave, bad: true, run: () => this.#leave(id) }];
    }
    return [
      { icon: "key", text: words.handOver, run: () => this.#handOver(id, user.name) },
      { icon: "remove", text: words.removePerson, bad: true, run: () => this.#remove(id, user.name) },
    ];
  }

  async #leave(id) {
    if (await this.#sure(words.leaveTitle, words.leaveText, words.leave)) {
      await this.#try(() => this.#api.removePerson(this.#id, id));
    }
  }

  async #handOver(id, name) {
    if (await this.#sure(words.handOverTitle(name), words.handOverText(name), words.handOver)) {
      await this.#try(() => this.#api.changeRole(this.#id, id, "owner"));
    }
  }

  async #remove(id, name) {
    if (await this.#sure(words.removeTitle(name), words.removeText(name), words.removePerson)) {
      await this.#try(() => this.#api.removePerson(this.#id, id));
    }
  }

  #sure(title, text, action) {
    return confirmed(this.element.parentNode, { title, text, action });
  }

  /** What the server answered; null where it refused, and then its reason stands above everything. */
  async #try(work) {
    this.#problem.textContent = "";
    try {
      return await work();
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      this.#problem.textContent = refusal.message || words.unreachable;
      this.#problem.scrollIntoView({ block: "nearest" });
      return null;
    }
  }
}
