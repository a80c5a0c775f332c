// The line above the messages: the conversation's title, and what it has cost. Called by conversation.js.

import { strings } from "../i18n/strings.js";
import { totalCost, totalTokens } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";

/** @import { Conversation } from "../protocol/types.d.ts" */

export class ConversationHeader {
  #title;
  #total;
  /** @type {string|null} */
  #shown = null;

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
    this.#showTitle(state.conversation?.object_url ?? "", state.conversation);
    this.#total.hidden = tokens === 0;
    this.#total.textContent = [
      state.more ? strings.atLeastTokens(tokens) : strings.tokens(tokens),
      cost && strings.cost(cost),
    ]
      .filter(Boolean)
      .join(" · ");
  }

  /** @param {string} address of the object whose room this is, or ""  @param {Conversation|null} conversation */
  #showTitle(address, conversation) {
    const title = conversation ? conversation.title || strings.untitled : "\u00a0";
    if (this.#shown === `${address} ${title}`) return; // the link may have the focus
    this.#shown = `${address} ${title}`;
    this.#title.replaceChildren(address ? el("a", { href: address }, title) : title);
  }
}
