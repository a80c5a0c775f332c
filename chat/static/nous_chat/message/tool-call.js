// One use of a tool: a line that opens for what went in and what came out; while the call waits for a decision, a card
// in its place. Called by message.js. What a model or a tool wrote is shown as text, whatever it looks like.

import { words } from "../i18n/strings.js";
import { el, icon } from "../ui/dom.js";
import { Approval, legible } from "./approval.js";

const ICONS = { running: "tool", done: "check", stopped: "stop" };

export class CallView {
  #onDecide;
  #summary;
  #inside;
  #line;
  #approval = null;
  #told = null;

  /** @param {(decision: object) => void} onDecide */
  constructor(onDecide) {
    this.#onDecide = onDecide;
    this.#summary = el("summary");
    this.#inside = el("div", { class: "inside" });
    this.#line = el("details", {}, this.#summary, this.#inside);
    this.element = el("div", { "data-part": "call" }, this.#line);
  }

  /**
   * @param {object} call a Call of the protocol
   * @param {object} context
   * @param {boolean} context.active is its run going on?
   * @param {boolean} context.waiting does it wait for a decision?
   * @param {boolean} context.decider may the reader decide?
   * @param {string|null} context.launcher who asked for the answer: he may
   * @param {string} context.agent its name
   * @param {string|null|undefined} context.decision what `decisions` of the state has of it
   */
  update(call, { active, waiting, ...context }) {
    const unfinished = !(call.status in words.call) || (call.status === "running" && !active);
    const status = unfinished && !waiting ? "stopped" : call.status;
    this.element.dataset.call = call.id;
    this.element.dataset.status = status;
    this.#line.hidden = waiting;
    if (!waiting) this.#tell({ ...call, status });
    this.#ask(waiting, call, context);
  }

  focus() {
    this.#summary.focus({ preventScroll: true });
  }

  #tell(call) {
    const told = JSON.stringify(call);
    if (told === this.#told) return;
    this.#told = told;
    const [sentence, decided] = parts(call);
    this.#summary.replaceChildren(
      icon(ICONS[call.status] ?? "close"),
      el("span", { dir: "auto" }, sentence),
      el("small", {}, decided),
    );
    this.#inside.replaceChildren(
      ...block(words.arguments, legible(call.arguments) || words.unreadable),
      ...(call.result === null ? [] : block(words.result, call.result || words.emptyResult)),
    );
  }

  #ask(waiting, call, context) {
    if (waiting) {
      this.#approval ??= new Approval(this.#onDecide);
      this.#approval.update(call, context);
      if (!this.#approval.element.parentNode) this.element.append(this.#approval.element);
    } else {
      this.#approval?.element.remove();
      this.#approval = null;
    }
  }
}

/** What became of a call that does not wait, as a sentence. */
export const sentenceOf = (call) => words.happened(...parts(call));

function parts({ name, status, decided_by }) {
  if (status === "rejected" && decided_by) return [words.rejectedBy(name, decided_by.name), ""];
  return [words.call[status](name), decided_by ? words.approvedBy(decided_by.name) : ""];
}

/** A name and a text that scrolls inside itself. */
function block(name, text) {
  return [el("p", {}, name), el("pre", { tabindex: "0", role: "group", "aria-label": name, dir: "auto" }, text)];
}
