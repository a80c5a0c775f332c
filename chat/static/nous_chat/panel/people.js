// The participants: their roles, and who is reading now. The owner can add people and change roles. Used by sections.js.

import { strings } from "../i18n/strings.js";
import { presentPeople } from "../protocol/reducer.js";
import { avatar, dropDown, el, iconButton } from "../ui/dom.js";

/**
 * @import { Participant, Role, State } from "../protocol/types.d.ts"
 *
 * @typedef {object} On each promise resolves to null if the request was refused
 * @property {(username: string, role: string) => Promise<object|null>} add
 * @property {(participant: string, role: string) => Promise<object|null>} changeRole
 * @property {(button: HTMLElement, participant: Participant) => void} menu
 */

/** @type {Role[]} */
const ORDER = ["owner", "member", "viewer"];

export class People {
  #on;
  #list;
  #form;
  #name;
  #role;
  #status;
  /** @type {Map<string, PersonView>} by participant id */
  #views = new Map();

  /** @param {On} on */
  constructor(on) {
    this.#on = on;
    this.#list = el("ul", { class: "people-list", "aria-label": strings.people });
    this.#name = el("input", {
      required: true,
      maxlength: "150",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      dir: "auto",
    });
    this.#role = dropDown(["member", "viewer"], strings.roles, "member");
    this.#status = el("p", { class: "note", role: "status" });
    this.#form = el(
      "form",
      { class: "add-person", onsubmit: (event) => this.#add(event) },
      el("label", {}, strings.addByName, this.#name),
      el("label", {}, strings.role, this.#role),
      el("button", { class: "secondary" }, strings.add),
    );
    this.element = el("section", {}, el("h3", {}, strings.people), this.#list, this.#form, this.#status);
  }

  /** @param {State} state  @param {boolean} owner true if the user may change anything */
  show(state, owner) {
    const you = state.you?.id ?? "";
    const present = new Set(presentPeople(state).map(({ id }) => id)).add(you);
    for (const [id, view] of this.#views) {
      if (state.participants.has(id)) continue;
      view.element.remove();
      this.#views.delete(id);
    }
    const rank = (/** @type {Participant} */ { role }) => ORDER.indexOf(role);
    const sorted = [...state.participants.values()].sort(
      (one, other) => rank(one) - rank(other) || one.user.name.localeCompare(other.user.name),
    );
    sorted.forEach((participant, index) => {
      let view = this.#views.get(participant.id);
      if (!view) this.#views.set(participant.id, (view = new PersonView(participant, this.#on)));
      view.show(participant, { me: participant.user.id === you, present: present.has(participant.user.id), owner });
      const place = this.#list.children[index] ?? null;
      if (place !== view.element) this.#list.insertBefore(view.element, place);
    });
    this.#form.hidden = !owner;
  }

  /** @param {SubmitEvent} event */
  async #add(event) {
    event.preventDefault();
    const name = this.#name.value.trim();
    this.#status.textContent = "";
    if (!(await this.#on.add(name, this.#role.value))) return this.#name.focus();
    this.#name.value = "";
    this.#status.textContent = strings.wasAdded(name);
  }
}

class PersonView {
  #participant;
  #name;
  #present;
  #role;
  #select;
  #more;

  /** @param {Participant} participant  @param {On} on */
  constructor(participant, on) {
    this.#participant = participant;
    this.#name = el("span", { class: "name", dir: "auto" });
    this.#present = el("span", { class: "here" });
    this.#role = el("span", { class: "role" });
    this.#select = dropDown(["member", "viewer"], strings.roles);
    this.#select.addEventListener("change", async () => {
      if ((await on.changeRole(participant.id, this.#select.value)) === null) this.#resetSelect();
    });
    this.#more = iconButton("more", null, {
      "aria-haspopup": "menu",
      onclick: () => on.menu(this.#more, this.#participant),
    });
    this.element = el(
      "li",
      {},
      avatar(participant.user),
      el("div", {}, this.#name, this.#present),
      this.#role,
      this.#select,
      this.#more,
    );
  }

  /** @param {Participant} participant  @param {{me: boolean, present: boolean, owner: boolean}} context */
  show(participant, { me, present, owner }) {
    const { user, role } = participant;
    const changeable = owner && !me && role !== "owner";
    this.#participant = participant;
    this.#name.textContent = me ? strings.meToo(user.name) : user.name;
    this.#present.textContent = present ? strings.here : "";
    this.element.toggleAttribute("data-here", present);
    this.#role.textContent = strings.roles[role];
    this.#role.hidden = changeable;
    this.#select.hidden = !changeable;
    this.#select.setAttribute("aria-label", strings.roleOf(user.name));
    this.#more.hidden = !me && !owner;
    this.#more.setAttribute("aria-label", strings.actionsFor(user.name));
    this.#resetSelect();
  }

  #resetSelect() {
    this.#select.value = this.#participant.role;
  }
}
