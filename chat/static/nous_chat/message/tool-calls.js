// The uses of tools in one answer: a line for each above the text, a card under the text for each that waits for a
// decision. Called by message.js.

import { mayDecide } from "../protocol/permissions.js";
import { isActive, isWaiting } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";
import { CallView } from "./tool-call.js";

export class Calls {
  waiting = 0; // how many of them wait for a decision
  #views = new Map();
  #onDecide;

  /** @param {(call: string, decision: object) => void} onDecide */
  constructor(onDecide) {
    this.#onDecide = onDecide;
    this.lines = el("div", { "data-part": "calls" });
    this.cards = el("div", { "data-part": "approvals" }); // where the eye is
  }

  /**
   * Only what stands elsewhere is moved: a field keeps its focus.
   * @param {object} message
   * @param {object|null} you
   * @param {Map<string, string|null>} decisions as in the state of apply.js
   */
  update({ calls, run }, you, decisions) {
    const last = new Map(); // the one placed last in each part
    this.waiting = 0;
    for (const [id, view] of this.#views) {
      if (calls.some((call) => call.id === id)) continue;
      view.element.remove();
      this.#views.delete(id);
    }
    for (const call of calls) {
      if (!this.#views.has(call.id))
        this.#views.set(call.id, new CallView((decision) => this.#onDecide(call.id, decision)));
      const view = this.#views.get(call.id);
      const waiting = isWaiting(call, run);
      if (waiting) this.waiting += 1;
      const part = waiting ? this.cards : this.lines;
      const place = last.has(part) ? last.get(part).nextSibling : part.firstChild;
      const focused = view.element.matches(":focus-within");
      if (place !== view.element) part.insertBefore(view.element, place);
      last.set(part, view.element);
      view.update(call, {
        active: isActive(run),
        waiting,
        decider: mayDecide(run, you),
        launcher: run.launched_by?.name ?? null,
        agent: run.agent.name,
        decision: decisions.get(call.id),
      });
      if (focused && !view.element.matches(":focus-within")) view.focus(); // it went with the card
    }
  }
}
