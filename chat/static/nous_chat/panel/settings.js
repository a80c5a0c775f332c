// The owner's settings of a conversation: title, when the agent answers, what a message does during an answer, and which
// agents take part. Each change is sent at once. Used by sections.js.

import { strings } from "../i18n/strings.js";
import { dropDown, el } from "../ui/dom.js";

/** @import { AgentName, Conversation } from "../protocol/types.d.ts" */

export class Settings {
  /** @type {HTMLInputElement} */
  #title;
  #change;
  #answers;
  #mode;
  #agents;
  /** @type {Map<string, HTMLInputElement>} */
  #boxes = new Map();
  #status;
  /** @type {Conversation|null} */
  #conversation = null;

  /**
   * @param {AgentName[]} agents those that the user can choose
   * @param {(fields: object) => Promise<Conversation|null>} change resolves to null if the change was refused
   */
  constructor(agents, change) {
    this.#change = change;
    this.#title = el("input", {
      maxlength: "200",
      autocomplete: "off",
      dir: "auto",
      onchange: () => this.#send({ title: this.#title.value.trim() }),
    });
    this.#answers = dropDown(["always", "mention", "off"], strings.answersWhen);
    this.#answers.addEventListener("change", () => this.#send({ answers: this.#answers.value }));
    this.#mode = dropDown(["interrupt", "queue"], strings.modes);
    this.#mode.addEventListener("change", () => this.#send({ mode: this.#mode.value }));
    this.#agents = el("fieldset", {}, el("legend", {}, strings.agents));
    for (const agent of agents) this.#offer(agent);
    this.#status = el("p", { class: "note", role: "status" });
    this.element = el(
      "section",
      { class: "settings" },
      el("h3", {}, strings.settings),
      el("label", {}, strings.title, this.#title),
      el("label", {}, strings.answers, this.#answers),
      el("label", {}, strings.mode, this.#mode),
      this.#agents,
      this.#status,
    );
  }

  /** Leaves a title alone that the user is writing. @param {Conversation} conversation */
  show(conversation) {
    this.#conversation = conversation;
    if (!this.#title.matches(":focus")) this.#title.value = conversation.title;
    this.#answers.value = conversation.answers;
    this.#mode.value = conversation.mode;
    const slugs = conversation.agents.map((agent) => this.#offer(agent));
    for (const [slug, box] of this.#boxes) box.checked = slugs.includes(slug);
    this.#agents.hidden = this.#boxes.size < 2;
  }

  /** Agents that this user could not add can still be removed. @param {{slug: string, name: string}} agent */
  #offer({ slug, name }) {
    if (!this.#boxes.has(slug)) {
      const box = el("input", { type: "checkbox", onchange: () => this.#agentsChanged() });
      this.#boxes.set(slug, box);
      this.#agents.append(el("label", { class: "check" }, box, el("span", { dir: "auto" }, name)));
    }
    return slug;
  }

  /** The first agent answers if none is mentioned, so the order is kept. */
  #agentsChanged() {
    if (!this.#conversation) return;
    const kept = this.#conversation.agents.map(({ slug }) => slug).filter((slug) => this.#boxes.get(slug)?.checked);
    const added = [...this.#boxes].filter(([slug, box]) => box.checked && !kept.includes(slug)).map(([slug]) => slug);
    const agents = [...kept, ...added];
    if (agents.length) {
      this.#send({ agents });
      return;
    }
    this.#status.textContent = strings.oneAgent;
    this.show(this.#conversation);
  }

  /** @param {object} fields */
  async #send(fields) {
    this.#status.textContent = "";
    const changed = await this.#change(fields);
    const shown = changed ?? this.#conversation;
    if (shown) this.show(shown);
    if (changed) this.#status.textContent = strings.saved;
  }
}
