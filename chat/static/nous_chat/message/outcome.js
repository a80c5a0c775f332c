// One line under an answer that did not come to its own end: the reason, and the one thing to do. Called by message.js,
// and by conversation.js for what is said aloud.

import { words } from "../i18n/strings.js";
import { isActive } from "../protocol/reducer.js";
import { el, quietButton } from "../ui/dom.js";

/** What providers call the end of an answer that their filter cut. */
const FILTER = new Set([
  "content_filter",
  "SAFETY",
  "RECITATION",
  "BLOCKLIST",
  "PROHIBITED_CONTENT",
  "SPII",
  "refusal",
]);

/**
 * How an answer ended; null if it goes on, or is complete.
 * @param {object} message with a run
 * @param {object|null} you
 * @returns {{sentence: string, act: "proceed"|"again", tone: ""|"bad"}|null} `act`: go on from its text, or make it again
 */
export function endOf({ text, run }, you) {
  if (!run || isActive(run)) return null;
  const { status, finish_reason, cut_off, error } = run;
  if (status === "completed") {
    if (cut_off) return { sentence: words.cut, act: "proceed", tone: "" };
    return FILTER.has(finish_reason) ? { sentence: words.filtered, act: "again", tone: "bad" } : null;
  }
  const sentence =
    status === "stopped" && run.stopped_by
      ? receipt(run, you)
      : error?.message
        ? words.refused(error)
        : words.ended[status];
  return { sentence, act: cut_off && text ? "proceed" : "again", tone: status === "failed" ? "bad" : "" };
}

function receipt({ stopped_by, usage, tokens }, you) {
  const name = stopped_by.id === you?.id ? null : stopped_by.name;
  return words.receipt(name, usage?.output_tokens ?? tokens ?? null);
}

export class End {
  #reason;
  #action;
  #act = null;

  /** @param {{again: () => void, proceed: () => void}} on */
  constructor(on) {
    this.#reason = el("span");
    this.#action = quietButton("", () => on[this.#act]());
    this.element = el("p", { "data-part": "end", dir: "auto", hidden: true }, this.#reason, this.#action);
  }

  /**
   * @param {object} message
   * @param {object|null} you
   * @param {boolean} offered may something be done about it now?
   * @returns {string|null} what it offers
   */
  update(message, you, offered) {
    const end = endOf(message, you);
    this.element.hidden = end === null;
    this.element.dataset.tone = end?.tone ?? "";
    this.#reason.textContent = end?.sentence ?? "";
    this.#act = end && offered ? end.act : null;
    this.#action.hidden = this.#act === null;
    this.#action.textContent = this.#act ? { again: words.retry, proceed: words.continue }[this.#act] : "";
    return this.#act;
  }
}
