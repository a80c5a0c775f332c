// What stands in the panel: the conversation's people, its invitations, its settings. Shows the state of apply.js; what
// the person does becomes requests, whose effects come back as events. Loaded by panel.js.

import { words } from "../i18n/strings.js";
import { attempt } from "../protocol/api.js";
import { confirmed } from "../ui/dialog.js";
import { el } from "../ui/dom.js";
import { Menu } from "../ui/menu.js";
import { Invitations } from "./invitations.js";
import { People } from "./people.js";
import { Settings } from "./settings.js";

export class Room {
  #api;
  #id;
  #problem;
  #people;
  #invitations;
  #settings;
  #menu = new Menu();
  #state = null;

  /**
   * @param {import("../protocol/api.js").Api} api
   * @param {string} id of the conversation
   * @param {{slug: string, name: string}[]} agents all of the site
   */
  constructor(api, id, agents) {
    this.#api = api;
    this.#id = id;
    this.#problem = el("p", { class: "problem", role: "alert" });
    const request =
      (method) =>
      (...rest) =>
        this.#try(() => api[method](id, ...rest));
    this.#people = new People({
      add: request("addPerson"),
      role: request("changeRole"),
      menu: (button, participant) => this.#menu.open(button, this.#actions(participant)),
    });
    this.#invitations = new Invitations({
      load: request("invitations"),
      invite: request("invite"),
      revoke: request("revoke"),
    });
    this.#settings = new Settings(agents, request("changeConversation"));
    this.element = el(
      "div",
      {},
      this.#problem,
      this.#people.element,
      this.#invitations.element,
      this.#settings.element,
      this.#menu.element,
    );
  }

  get #owner() {
    return this.#state.you.role === "owner";
  }

  /** @param {import("../protocol/reducer.js").State} state */
  show(state) {
    this.#state = state;
    this.#people.show(state, this.#owner);
    this.#invitations.element.hidden = this.#settings.element.hidden = !this.#owner;
    if (this.#owner) this.#settings.show(state.conversation);
  }

  /** Loads what no event tells of. */
  refresh() {
    if (this.#owner) this.#invitations.refresh();
  }

  #actions({ id, user }) {
    const remove = () => this.#api.removePerson(this.#id, id);
    if (user.id === this.#state.you.id) {
      return [this.#asked("leave", words.leave, words.leaveTitle, words.leaveText, remove, true)];
    }
    const { name } = user;
    return [
      this.#asked("key", words.handOver, words.handOverTitle(name), words.handOverText(name), () =>
        this.#api.changeRole(this.#id, id, "owner"),
      ),
      this.#asked("remove", words.removePerson, words.removeTitle(name), words.removeText(name), remove, true),
    ];
  }

  /** An action of a menu that asks before it does its work. */
  #asked(icon, action, title, text, work, bad = false) {
    const run = async () => {
      if (await confirmed(this.element.closest(".shell"), { title, text, action })) await this.#try(work);
    };
    return { icon, text: action, bad, run };
  }

  /** What the server answered; null where it refused, and then its reason stands above everything. */
  #try(work) {
    this.#problem.textContent = "";
    return attempt(work, (reason) => {
      this.#problem.textContent = reason;
      this.#problem.scrollIntoView({ block: "nearest" });
    });
  }
}
