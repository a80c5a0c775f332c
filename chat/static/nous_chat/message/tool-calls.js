// The tool calls of an answer: a line for each one above the text, and under the text a card for each one that awaits a
// decision. Used by message.js.

import { mayDecide } from "../protocol/permissions.js";
import { awaitsApproval, isActive } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";
import { ToolCallView } from "./tool-call.js";

/** @import { Decision, Message, You } from "../protocol/types.d.ts" */

export class ToolCalls {
  /** How many calls await a decision. */
  approvals = 0;
  /** @type {Map<string, ToolCallView>} by call id */
  #views = new Map();
  #onDecide;

  /** @param {(call: string, decision: Decision) => void} onDecide */
  constructor(onDecide) {
    this.#onDecide = onDecide;
    this.lines = el("div", { "data-part": "tool-calls" });
    this.cards = el("div", { "data-part": "approvals" }); // under the text, where the user is reading
  }

  /**
   * Moves only the views that are out of place, so that a field keeps its focus.
   * @param {Message} message
   * @param {You|null} you
   * @param {Map<string, string|null>} decisions of the state
   */
  update({ calls, run }, you, decisions) {
    /** @type {Map<HTMLElement, HTMLElement>} the view placed last in each container */
    const last = new Map();
    this.approvals = 0;
    for (const [id, view] of this.#views) {
      if (calls.some((call) => call.id === id)) continue;
      view.element.remove();
      this.#views.delete(id);
    }
    if (!run) return;
    for (const call of calls) {
      let view = this.#views.get(call.id);
      if (!view) this.#views.set(call.id, (view = new ToolCallView((decision) => this.#onDecide(call.id, decision))));
      const awaiting = awaitsApproval(call, run);
      if (awaiting) this.approvals += 1;
      const container = awaiting ? this.cards : this.lines;
      const before = last.get(container);
      const place = before ? before.nextSibling : container.firstChild;
      const focused = view.element.matches(":focus-within");
      if (place !== view.element) container.insertBefore(view.element, place);
      last.set(container, view.element);
      view.update(call, {
        active: isActive(run),
        awaiting,
        mayDecide: mayDecide(run, you),
        launcher: run.launched_by?.name ?? null,
        agent: run.agent?.name ?? "",
        decision: decisions.get(call.id),
      });
      if (focused && !view.element.matches(":focus-within")) view.focus(); // the focused card is gone
    }
  }
}
