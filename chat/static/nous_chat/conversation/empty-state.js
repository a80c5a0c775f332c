// Under the last message: the first steps of an empty conversation, or that what was said last got no answer. Called by
// conversation.js.

import { words } from "../i18n/strings.js";
import { el, quietButton } from "../ui/dom.js";

export class Foot {
  #on;

  /** @param {{send: (text: string) => void, again: () => void}} on */
  constructor(on) {
    this.#on = on;
    this.element = el("div", { class: "foot" });
  }

  /**
   * @param {import("../protocol/reducer.js").State} state
   * @param {{writer: boolean, retry: boolean}} may write here, and ask for an answer now
   */
  show({ conversation, messages, unanswered }, { writer, retry }) {
    let child = null;
    if (writer && conversation && messages.size === 0) child = this.#first(conversation.agent.starters);
    else if (unanswered) child = this.#unanswered(unanswered, retry);
    if ((child?.textContent ?? "") === this.element.textContent) return; // leaves the focus alone
    this.element.replaceChildren(...(child ? [child] : []));
  }

  #first(starters) {
    return el(
      "div",
      { class: "first" },
      el("p", { class: "greeting" }, words.greeting),
      starters.length ? el("p", { class: "hint" }, words.starters) : null,
      ...starters.map((text) =>
        el("button", { type: "button", class: "starter", onclick: () => this.#on.send(text) }, text),
      ),
    );
  }

  #unanswered({ status, error }, retry) {
    const reason = { stopped: words.stoppedBefore, failed: error?.message || words.failedBefore }[status];
    return el(
      "p",
      { class: "unanswered" },
      el("span", {}, reason ?? words.unanswered),
      retry ? quietButton(words.retry, () => this.#on.again()) : null,
    );
  }
}
