// Links by which others can join: made, copied, revoked by the owner. Called by panel.js.

import { words } from "../i18n/strings.js";
import { choice, el, iconButton } from "../ui/dom.js";

const DAY = 86_400; // s
const LASTS = { [DAY]: 1, [7 * DAY]: 7, [30 * DAY]: 30 };
const USES = [1, 10, 100];

export class Invitations {
  #on;
  #list;
  #role;
  #lasts;
  #uses;
  #status;

  /**
   * @param {object} on each gives what the server answered, or null
   * @param {() => Promise<object|null>} on.load
   * @param {(terms: {role: string, expires_in: number, max_uses: number}) => Promise<object|null>} on.invite
   * @param {(invitation: string) => Promise<object|null>} on.revoke
   */
  constructor(on) {
    this.#on = on;
    this.#list = el("ul", { class: "links", "aria-label": words.invitations });
    this.#role = choice(["member", "viewer"], words.roles, "member");
    this.#lasts = choice(
      Object.keys(LASTS),
      Object.fromEntries(Object.entries(LASTS).map(([key, days]) => [key, words.days(days)])),
      String(7 * DAY),
    );
    this.#uses = choice(USES.map(String), Object.fromEntries(USES.map((count) => [count, words.persons(count)])), "10");
    this.#status = el("p", { class: "note", role: "status" });
    this.element = el(
      "section",
      {},
      el("h3", {}, words.invitations),
      this.#list,
      el(
        "form",
        { class: "terms", onsubmit: (event) => this.#invite(event) },
        el("label", {}, words.role, this.#role),
        el("label", {}, words.validFor, this.#lasts),
        el("label", {}, words.uses, this.#uses),
        el("button", { class: "secondary" }, words.createLink),
      ),
      this.#status,
    );
  }

  async refresh() {
    const answer = await this.#on.load();
    if (answer) this.#list.replaceChildren(...answer.invitations.map((invitation) => this.#item(invitation)));
  }

  async #invite(event) {
    event.preventDefault();
    const terms = { role: this.#role.value, expires_in: Number(this.#lasts.value), max_uses: Number(this.#uses.value) };
    const invitation = await this.#on.invite(terms);
    if (!invitation) return;
    const item = this.#item(invitation);
    this.#list.prepend(item);
    this.#status.textContent = words.linkMade;
  }

  #item({ id, url, role, expires_at, max_uses, uses }) {
    const address = new URL(url, location.href).href;
    const field = el("input", { readonly: true, dir: "ltr", "aria-label": words.link, onfocus: () => field.select() });
    field.value = address;
    const copy = iconButton("copy", words.copyLink, { onclick: () => this.#copy(field) });
    const revoke = iconButton("remove", words.revoke, {
      onclick: async () => {
        if (!(await this.#on.revoke(id))) return;
        item.remove();
        this.#status.textContent = words.linkGone;
      },
    });
    const terms = [words.roles[role], expires_at && words.until(expires_at), words.used(uses, max_uses)]
      .filter(Boolean)
      .join(" · ");
    const item = el("li", {}, el("div", {}, field, copy, revoke), el("p", { class: "note" }, terms));
    return item;
  }

  async #copy(field) {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      this.#status.textContent = words.linkCopied;
    } catch {
      // without HTTPS there is no clipboard; it is selected at least
      this.#status.textContent = words.copyYourself;
    }
  }
}
