// The line above the messages: the conversation's title, and what it has cost. Called by conversation.js.

import { strings } from "../i18n/strings.js";
import { totalCost, totalTokens } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";

export class ConversationHeader {
  #title;
  #total;

  /** @param {string} heading tag of the title */
  constructor(heading) {
    this.#title = el(heading, { class: "title" });
    this.#total = el("p", { class: "total", title: strings.totalHint });
    this.element = el("header", { class: "conversation-header" }, this.#title, this.#total);
  }

  /** @param {import("../protocol/types.d.ts").State} state */
  show(state) {
    const tokens = totalTokens(state);
    const cost = totalCost(state);
    this.#title.textContent = state.conversation ? state.conversation.title || strings.untitled : "\u00a0";
    this.#total.hidden = tokens === 0;
    this.#total.textContent = [
      state.more ? strings.atLeastTokens(tokens) : strings.tokens(tokens),
      cost && strings.cost(cost),
    ]
      .filter(Boolean)
      .join(" · ");
  }
}
