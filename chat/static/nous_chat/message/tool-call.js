// One tool call: a line that opens to show arguments and result; while the call awaits a decision, an approval card.
// What a model or a tool wrote is shown as plain text. Used by body.js.

import { strings } from "../i18n/strings.js";
import { el, icon } from "../ui/dom.js";
import { Approval, readableJson } from "./approval.js";
import { DocumentCard } from "./document-card.js";
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

  /** The document that the call has made or changed. @type {import("../protocol/types.d.ts").Document|null} */
  #document = null;
  #card;

  /** @param {(decision: Decision) => void} onDecide  @param {(id: string) => void} onOpen opens a document */
  constructor(onDecide, onOpen) {
    this.#card = new DocumentCard(() => this.#document && onOpen(this.#document.id));
    this.#onDecide = onDecide;
    this.#summary = el("summary");
    this.#details = el("div", { class: "tool-details" });
    this.#line = el("details", {}, this.#summary, this.#details);
    this.element = el("div", { "data-part": "tool-call" }, this.#line, this.#card.element);
  }

  /**
   * @param {Call} call
   * @param {{active: boolean, awaiting: boolean, document: import("../protocol/types.d.ts").Document|null}
   *   & import("./approval.js").Context} context is its run active? does the call await a decision? what did it write?
   */
  update(call, { active, awaiting, document, ...context }) {
    this.#document = document;
    this.#card.show(document);
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
function partsOf({ name: tool, status, decided_by, result }) {
  const { name, ...sentences } = wordsOf(tool);
  if (sentences.done && result?.startsWith("Proposed")) sentences.done = strings.proposed; // runs/document_tools.py
  if (status === "rejected" && decided_by) return [strings.rejectedBy(name, decided_by.name), ""];
  const known = /** @type {keyof typeof strings.call} */ (status);
  const sentence = sentences[known] ?? strings.call[known](name);
  return [sentence, decided_by ? strings.approvedBy(decided_by.name) : ""];
}

/** What a tool is called, and sentences of its own. @param {string} tool  @returns {{name: string} & Partial<Record<keyof typeof strings.call, string>>} */
function wordsOf(tool) {
  const { documentCalls } = strings;
  return Object.hasOwn(documentCalls, tool)
    ? documentCalls[/** @type {keyof typeof documentCalls} */ (tool)]
    : { name: tool };
}

/** A label and a text that scrolls. @param {string} label  @param {string} text */
function block(label, text) {
  const pre = el("pre", { tabindex: "0", role: "group", "aria-label": label, dir: "auto", translate: "no" });
  return [el("p", {}, label), fill(pre, text)];
}
