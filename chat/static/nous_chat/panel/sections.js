// The content of the panel: people, invitations, settings. It shows the state of reducer.js; what the user does becomes
// HTTP requests, whose effects come back as events. Loaded by panel.js.

import { strings } from "../i18n/strings.js";
import { attempt } from "../protocol/api.js";
import { confirm } from "../ui/dialog.js";
import { el } from "../ui/dom.js";
import { Menu } from "../ui/menu.js";
import { DocumentList } from "./documents.js";
import { Invitations } from "./invitations.js";
import { People } from "./people.js";
import { Settings } from "./settings.js";

/**
 * @import { AgentName, Participant, State } from "../protocol/types.d.ts"
 * @import { MenuItem } from "../ui/menu.js"
 */

export class PanelSections {
  #api;
  #id;
  #problem;
  #documents;
  #people;
  #invitations;
  #settings;
  #menu = new Menu();
  /** @type {State|null} */
  #state = null;

  /**
   * @param {import("../protocol/api.js").Api} api
   * @param {string} id of the conversation
   * @param {AgentName[]} agents all agents of the site
   * @param {(id: string) => void} openDocument
   */
  constructor(api, id, agents, openDocument) {
    this.#api = api;
    this.#id = id;
    this.#problem = el("p", { class: "problem", role: "alert" });
    this.#documents = new DocumentList({
      open: openDocument,
      create: (fields) => this.#attempt(() => api.createDocument(id, fields)),
    });
    this.#people = new People({
      add: (username, role) => this.#attempt(() => api.addParticipant(id, username, role)),
      changeRole: (participant, role) => this.#attempt(() => api.changeRole(id, participant, role)),
      menu: (button, participant) => this.#menu.open(button, this.#actions(participant)),
    });
    this.#invitations = new Invitations({
      load: () => this.#attempt(() => api.invitations(id)),
      invite: (terms) => this.#attempt(() => api.invite(id, terms)),
      revoke: (invitation) => this.#attempt(() => api.revoke(id, invitation)),
    });
    this.#settings = new Settings(agents, (fields) => this.#attempt(() => api.changeConversation(id, fields)));
    this.element = el(
      "div",
      {},
      this.#problem,
      this.#documents.element,
      this.#people.element,
      this.#invitations.element,
      this.#settings.element,
      this.#menu.element,
    );
  }

  get #isOwner() {
    return this.#state?.you?.role === "owner";
  }

  /** @param {State} state */
  show(state) {
    this.#state = state;
    this.#documents.show(state);
    this.#people.show(state, this.#isOwner);
    this.#invitations.element.hidden = this.#settings.element.hidden = !this.#isOwner;
    if (this.#isOwner && state.conversation) this.#settings.show(state.conversation);
  }

  /** Loads the invitations, of which there are no events. */
  refresh() {
    if (this.#isOwner) this.#invitations.refresh();
  }

  /** @param {Participant} participant  @returns {MenuItem[]} */
  #actions({ id, user }) {
    const remove = () => this.#api.removeParticipant(this.#id, id);
    if (user.id === this.#state?.you?.id) {
      return [this.#confirmed("leave", strings.leave, strings.leaveTitle, strings.leaveText, remove, true)];
    }
    const { name } = user;
    const transfer = () => this.#api.changeRole(this.#id, id, "owner");
    return [
      this.#confirmed("key", strings.transfer, strings.transferTitle(name), strings.transferText(name), transfer),
      this.#confirmed(
        "delete",
        strings.removePerson,
        strings.removeTitle(name),
        strings.removeText(name),
        remove,
        true,
      ),
    ];
  }

  /**
   * A menu item that asks for confirmation first.
   * @param {MenuItem["icon"]} icon  @param {string} action  @param {string} title  @param {string} text
   * @param {() => Promise<unknown>} work  @param {boolean} [bad]  @returns {MenuItem}
   */
  #confirmed(icon, action, title, text, work, bad = false) {
    const run = async () => {
      const root = this.element.closest(".shell");
      if (root && (await confirm(root, { title, text, action }))) await this.#attempt(work);
    };
    return { icon, text: action, bad, run };
  }

  /**
   * Sends a request and shows why it was refused at the top of the panel.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T|null>} null if it was refused
   */
  #attempt(work) {
    this.#problem.textContent = "";
    return attempt(work, (reason) => {
      this.#problem.textContent = reason;
      this.#problem.scrollIntoView({ block: "nearest" });
    });
  }
}
