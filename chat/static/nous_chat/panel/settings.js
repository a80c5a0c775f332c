// What an owner can set: title, when the agents answer, which agents, what a message does while an answer is being
// written. Each change is sent at once. Called by panel.js.

import { words } from "../i18n/strings.js";
import { choice, el } from "../ui/dom.js";

export class Settings {
  #change;
  #title;
  #answers;
  #mode;
  #agents;
  #boxes;
  #status;
  #conversation = null;

  /**
   * @param {{slug: string, name: string}[]} agents all of the site
   * @param {(fields: object) => Promise<object|null>} change gives what the server answered, or null
   */
  constructor(agents, change) {
    this.#change = change;
    this.#title = el("input", {
      maxlength: "200",
      autocomplete: "off",
      dir: "auto",
      onchange: () => this.#send({ title: this.#title.value.trim() }),
    });
    this.#answers = choice(["always", "mention", "off"], words.answersWhen);
    this.#answers.addEventListener("change", () => this.#send({ answers: this.#answers.value }));
    this.#mode = choice(["interrupt", "queue"], words.modes);
    this.#mode.addEventListener("change", () => this.#send({ mode: this.#mode.value }));
    this.#boxes = new Map(
      agents.map(({ slug }) => [slug, el("input", { type: "checkbox", onchange: () => this.#choose() })]),
    );
    this.#agents = el(
      "fieldset",
      { hidden: agents.length < 2 },
      el("legend", {}, words.agents),
      ...agents.map(({ slug, name }) =>
        el("label", { class: "check" }, this.#boxes.get(slug), el("span", { dir: "auto" }, name)),
      ),
    );
    this.#status = el("p", { class: "note", role: "status" });
    this.element = el(
      "section",
      { class: "settings" },
      el("h3", {}, words.settings),
      el("label", {}, words.title, this.#title),
      el("label", {}, words.answers, this.#answers),
      el("label", {}, words.mode, this.#mode),
      this.#agents,
      this.#status,
    );
  }

  /** What the person is writing is left alone. @param {object} conversation */
  show(conversation) {
    this.#conversation = conversation;
    if (!this.#title.matches(":focus")) this.#title.value = conversation.title;
    this.#answers.value = conversation.answers;
    this.#mode.value = conversation.mode;
    const slugs = conversation.agents.map(({ slug }) => slug);
    for (const [slug, box] of this.#boxes) box.checked = slugs.includes(slug);
  }

  /** The first is the one that answers when none is named: it stays the first. */
  #choose() {
    const before = this.#conversation.agents.map(({ slug }) => slug).filter((slug) => this.#boxes.get(slug)?.checked);
    const added = [...this.#boxes].filter(([slug, box]) => box.checked && !before.includes(slug)).map(([slug]) => slug);
    const agents = [...before, ...added];
    if (agents.length) return this.#send({ agents });
    this.#status.textContent = words.oneAgent;
    this.show(this.#conversation);
  }

  async #send(fields) {
    this.#status.textContent = "";
    const changed = await this.#change(fields);
    this.show(changed ?? this.#conversation);
    if (changed) this.#status.textContent = words.saved;
  }
}
