// Above the messages: the title and what the conversation has cost. Called by conversation.js.

import { words } from "../i18n/strings.js";
import { totalCost, totalTokens } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";

export class Head {
  #title;
  #total;

  /** @param {string} heading tag of the title */
  constructor(heading) {
    this.#title = el(heading, { class: "title" });
    this.#total = el("p", { class: "total", title: words.totalHint });
    this.element = el("header", { class: "head" }, this.#title, this.#total);
  }

  /** @param {import("../protocol/reducer.js").State} state */
  show(state) {
    const total = totalTokens(state);
    this.#title.textContent = state.conversation ? state.conversation.title || words.untitled : "\u00a0";
    this.#total.hidden = total === 0;
    const cost = totalCost(state);
    this.#total.textContent = [state.more ? words.atLeastTokens(total) : words.tokens(total), cost && words.cost(cost)]
      .filter(Boolean)
      .join(" · ");
  }
}
