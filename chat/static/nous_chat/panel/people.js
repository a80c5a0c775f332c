// Who is in a conversation: role, who reads it now, and, for its owner, adding and changing. Called by panel.js.

import { words } from "../i18n/strings.js";
import { present } from "../protocol/reducer.js";
import { avatar, choice, el, iconButton } from "../ui/dom.js";

const ORDER = ["owner", "member", "viewer"];

export class People {
  #on;
  #list;
  #form;
  #name;
  #role;
  #status;
  #views = new Map(); // by the participant's id

  /**
   * @param {object} on each gives what the server answered, or null
   * @param {(username: string, role: string) => Promise<object|null>} on.add
   * @param {(participant: string, role: string) => Promise<object|null>} on.role
   * @param {(button: HTMLElement, participant: object) => void} on.menu
   */
  constructor(on) {
    this.#on = on;
    this.#list = el("ul", { class: "persons", "aria-label": words.people });
    this.#name = el("input", {
      required: true,
      maxlength: "150",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      dir: "auto",
    });
    this.#role = choice(["member", "viewer"], words.roles, "member");
    this.#status = el("p", { class: "note", role: "status" });
    this.#form = el(
      "form",
      { class: "add", onsubmit: (event) => this.#add(event) },
      el("label", {}, words.addByName, this.#name),
      el("label", {}, words.role, this.#role),
      el("button", { class: "secondary" }, words.add),
    );
    this.element = el("section", {}, el("h3", {}, words.people), this.#list, this.#form, this.#status);
  }

  /** @param {import("../protocol/reducer.js").State} state  @param {boolean} owner may this person change anything? */
  show(state, owner) {
    const here = new Set(present(state).map(({ id }) => id)).add(state.you.id);
    for (const [id, view] of this.#views) {
      if (state.participants.has(id)) continue;
      view.element.remove();
      this.#views.delete(id);
    }
    const rank = ({ role }) => ORDER.indexOf(role);
    const sorted = [...state.participants.values()].sort(
      (one, other) => rank(one) - rank(other) || one.user.name.localeCompare(other.user.name),
    );
    sorted.forEach((participant, index) => {
      if (!this.#views.has(participant.id)) this.#views.set(participant.id, new PersonView(participant, this.#on));
      const view = this.#views.get(participant.id);
      view.show(participant, { me: participant.user.id === state.you.id, here: here.has(participant.user.id), owner });
      if (this.#list.children[index] !== view.element)
        this.#list.insertBefore(view.element, this.#list.children[index] ?? null);
    });
    this.#form.hidden = !owner;
  }

  async #add(event) {
    event.preventDefault();
    const name = this.#name.value.trim();
    this.#status.textContent = "";
    if (!(await this.#on.add(name, this.#role.value))) return this.#name.focus();
    this.#name.value = "";
    this.#status.textContent = words.wasAdded(name);
  }
}

class PersonView {
  #participant;
  #name;
  #here;
  #role;
  #select;
  #more;

  constructor(participant, on) {
    this.#name = el("span", { class: "name", dir: "auto" });
    this.#here = el("span", { class: "here" });
    this.#role = el("span", { class: "role" });
    this.#select = choice(["member", "viewer"], words.roles);
    this.#select.addEventListener("change", () =>
      on.role(participant.id, this.#select.value).then((done) => done ?? this.#reset()),
    );
    this.#more = iconButton("more", null, {
      "aria-haspopup": "menu",
      onclick: () => on.menu(this.#more, this.#participant),
    });
    this.element = el(
      "li",
      {},
      avatar(participant.user),
      el("div", {}, this.#name, this.#here),
      this.#role,
      this.#select,
      this.#more,
    );
  }

  show(participant, { me, here, owner }) {
    const { user, role } = participant;
    const changeable = owner && !me && role !== "owner";
    this.#participant = participant;
    this.#name.textContent = me ? words.meToo(user.name) : user.name;
    this.#here.textContent = here ? words.here : "";
    this.element.toggleAttribute("data-here", here);
    this.#role.textContent = words.roles[role];
    this.#role.hidden = changeable;
    this.#select.hidden = !changeable;
    this.#select.setAttribute("aria-label", words.roleOf(user.name));
    this.#more.hidden = !me && !owner;
    this.#more.setAttribute("aria-label", words.actionsFor(user.name));
    this.#reset();
  }

  #reset() {
    this.#select.value = this.#participant.role;
  }
}
