// What stands where an answer is missing: the greeting and starters of an empty conversation, or a line under a last
// message that got no answer. Called by conversation.js.

import { strings } from "../i18n/strings.js";
import { el, textButton } from "../ui/dom.js";

/** @import { AgentCard, State } from "../protocol/types.d.ts" */

export class EmptyState {
  #on;

  /** @param {{send: (text: string) => void, retry: () => void}} on */
  constructor(on) {
    this.#on = on;
    this.element = el("div", { class: "empty-state" });
  }

  /** @param {State} state  @param {{mayPost: boolean, mayRetry: boolean}} options */
  show({ conversation, messages, unanswered }, { mayPost, mayRetry }) {
    let child = null;
    if (mayPost && conversation && messages.size === 0) child = this.#welcome(conversation.agent);
    else if (unanswered) child = this.#unanswered(unanswered, mayRetry);
    if ((child?.textContent ?? "") === this.element.textContent) return; // keeps the focus
    this.element.replaceChildren(...(child ? [child] : []));
  }

  /** @param {AgentCard} agent */
  #welcome({ description, starters }) {
    return el(
      "div",
      { class: "welcome" },
      el("p", { class: "greeting" }, strings.greeting),
      description ? el("p", { dir: "auto" }, description) : null,
      starters.length ? el("p", { class: "hint" }, strings.starters) : null,
      ...starters.map((text) => textButton(text, () => this.#on.send(text), { class: "starter" })),
    );
  }

  /** @param {NonNullable<State["unanswered"]>} unanswered  @param {boolean} mayRetry */
  #unanswered({ status, error }, mayRetry) {
    let reason = strings.unanswered;
    if (status === "stopped") reason = strings.stoppedBefore;
    if (status === "failed") reason = error?.message || strings.failedBefore;
    return el(
      "p",
      { class: "unanswered" },
      el("span", {}, reason),
      mayRetry ? textButton(strings.retry, () => this.#on.retry()) : null,
    );
  }
}
