// Invitation links: the owner creates, copies and revokes them. Used by sections.js.

import { strings } from "../i18n/strings.js";
import { copyText } from "../ui/clipboard.js";
import { dropDown, el, iconButton } from "../ui/dom.js";

/** @import { Invitation } from "../protocol/types.d.ts" */

const DAY = 86_400; // s
const LIFETIMES = [1, 7, 30]; // days
const USES = [1, 10, 100];

export class Invitations {
  #on;
  #list;
  #role;
  #lifetime;
  #uses;
  #status;

  /**
   * @param {object} on each resolves to null if the request was refused
   * @param {() => Promise<{invitations: Invitation[]}|null>} on.load
   * @param {(terms: {role: string, expires_in: number, max_uses: number}) => Promise<Invitation|null>} on.invite
   * @param {(invitation: string) => Promise<object|null>} on.revoke
   */
  constructor(on) {
    this.#on = on;
    this.#list = el("ul", { class: "invitation-links", "aria-label": strings.invitations });
    this.#role = dropDown(["member", "viewer"], strings.roles, "member");
    this.#lifetime = dropDown(LIFETIMES.map(String), labels(LIFETIMES, strings.days), "7");
    this.#uses = dropDown(USES.map(String), labels(USES, strings.uses), "10");
    this.#status = el("p", { class: "note", role: "status" });
    this.element = el(
      "section",
      {},
      el("h3", {}, strings.invitations),
      this.#list,
      el(
        "form",
        { class: "invitation-form", onsubmit: (event) => this.#invite(event) },
        el("label", {}, strings.role, this.#role),
        el("label", {}, strings.validFor, this.#lifetime),
        el("label", {}, strings.maximumUses, this.#uses),
        el("button", { class: "secondary" }, strings.createLink),
      ),
      this.#status,
    );
  }

  async refresh() {
    const answer = await this.#on.load();
    if (answer) this.#list.replaceChildren(...answer.invitations.map((invitation) => this.#item(invitation)));
  }

  /** @param {SubmitEvent} event */
  async #invite(event) {
    event.preventDefault();
    const terms = {
      role: this.#role.value,
      expires_in: Number(this.#lifetime.value) * DAY,
      max_uses: Number(this.#uses.value),
    };
    const invitation = await this.#on.invite(terms);
    if (!invitation) return;
    this.#list.prepend(this.#item(invitation));
    this.#status.textContent = strings.linkCreated;
  }

  /** @param {Invitation} invitation */
  #item({ id, url, role, expires_at, max_uses, uses }) {
    /** @type {HTMLInputElement} */
    const field = el("input", {
      readonly: true,
      dir: "ltr",
      "aria-label": strings.link,
      onfocus: () => field.select(),
    });
    field.value = new URL(url, location.href).href;
    const copy = iconButton("copy", strings.copyLink, { onclick: () => this.#copy(field) });
    const revoke = iconButton("delete", strings.revoke, {
      onclick: async () => {
        if (!(await this.#on.revoke(id))) return;
        item.remove();
        this.#status.textContent = strings.linkRevoked;
      },
    });
    const terms = [strings.roles[role], expires_at && strings.until(expires_at), strings.used(uses, max_uses)];
    const item = el(
      "li",
      {},
      el("div", {}, field, copy, revoke),
      el("p", { class: "note" }, terms.filter(Boolean).join(" · ")),
    );
    return item;
  }

  /** @param {HTMLInputElement} field */
  async #copy(field) {
    field.select();
    try {
      await copyText(field.value);
      this.#status.textContent = strings.linkCopied;
    } catch {
      // not allowed; the link is selected
      this.#status.textContent = strings.copyYourself;
    }
  }
}

/** @param {number[]} values  @param {(value: number) => string} label  @returns {Record<string, string>} */
const labels = (values, label) => Object.fromEntries(values.map((value) => [value, label(value)]));
