// One tool call: a line that opens to show arguments and result; while the call awaits a decision, an approval card.
// What a model or a tool wrote is shown as plain text. Used by body.js.

import { strings } from "../i18n/strings.js";
import { el, icon } from "../ui/dom.js";
import { Approval, readableJson } from "./approval.js";
import { fill } from "./text.js";

/** @import { Call, Decision } from "../protocol/types.d.ts" */

/** @type {Record<string, import("../ui/dom.js").Icon>} by status */
const ICONS = { running: "tool", done: "check", stopped: "stop" };

export class ToolCallView {
  #onDecide;
  #summary;
  #details;
  #line;
  /** @type {Approval|null} */
  #approval = null;
  /** @type {string|null} */
  #shown = null;

  /** @param {(decision: Decision) => void} onDecide */
  constructor(onDecide) {
    this.#onDecide = onDecide;
    this.#summary = el("summary");
    this.#details = el("div", { class: "tool-details" });
    this.#line = el("details", {}, this.#summary, this.#details);
    this.element = el("div", { "data-part": "tool-call" }, this.#line);
  }

  /**
   * @param {Call} call
   * @param {{active: boolean, awaiting: boolean} & import("./approval.js").Context} context is its run active? does the
   *   call await a decision?
   */
  update(call, { active, awaiting, ...context }) {
    const unfinished = !(call.status in strings.call) || (call.status === "running" && !active);
    const status = unfinished && !awaiting ? "stopped" : call.status;
    this.element.dataset.call = call.id;
    this.element.dataset.status = status;
    this.#line.hidden = awaiting;
    if (!awaiting) this.#show({ ...call, status });
    this.#ask(awaiting, call, context);
  }

  focus() {
    this.#summary.focus({ preventScroll: true });
  }

  /** @param {Call} call */
  #show(call) {
    const content = JSON.stringify(call);
    if (content === this.#shown) return;
    this.#shown = content;
    const [sentence, decided] = partsOf(call);
    this.#summary.replaceChildren(
      icon(ICONS[call.status] ?? "close"),
      el("span", { dir: "auto" }, sentence),
      el("small", {}, decided),
    );
    this.#details.replaceChildren(
      ...block(strings.arguments, readableJson(call.arguments) || strings.unreadable),
      ...(call.result === null ? [] : block(strings.result, call.result || strings.emptyResult)),
    );
  }

  /** @param {boolean} awaiting  @param {Call} call  @param {import("./approval.js").Context} context */
  #ask(awaiting, call, context) {
    if (awaiting) {
      this.#approval ??= new Approval(this.#onDecide);
      this.#approval.update(call, context);
      if (!this.#approval.element.parentNode) this.element.append(this.#approval.element);
    } else {
      this.#approval?.element.remove();
      this.#approval = null;
    }
  }
}

/** A sentence for a call that awaits nothing. @param {Call} call */
export const sentenceOf = (call) => strings.happened(...partsOf(call));

/** @param {Call} call  @returns {[string, string]} what happened, and who approved it */
function partsOf({ name, status, decided_by }) {
  if (status === "rejected" && decided_by) return [strings.rejectedBy(name, decided_by.name), ""];
  const sentence = strings.call[/** @type {keyof typeof strings.call} */ (status)](name);
  return [sentence, decided_by ? strings.approvedBy(decided_by.name) : ""];
}

/** A label and a text that scrolls. @param {string} label  @param {string} text */
function block(label, text) {
  const pre = el("pre", { tabindex: "0", role: "group", "aria-label": label, dir: "auto", translate: "no" });
  return [el("p", {}, label), fill(pre, text)];
}
