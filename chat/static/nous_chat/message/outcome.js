// The lines under an answer: if it was not completed, the reason, and what the user can do; and what it used. Used by
// message.js, and by conversation.js for the announcement.

import { strings } from "../i18n/strings.js";
import { isActive } from "../protocol/reducer.js";
import { el, textButton } from "../ui/dom.js";

/** @import { Message, Run, You } from "../protocol/types.d.ts" */

/** Finish reasons of the providers whose filter cut an answer off. */
const FILTERED = new Set([
  "content_filter",
  "SAFETY",
  "RECITATION",
  "BLOCKLIST",
  "PROHIBITED_CONTENT",
  "SPII",
  "refusal",
]);

/**
 * Why an answer is not complete; null if it is, or is still being written.
 * @param {Pick<Message, "text"|"run"|"deleted_at">} message
 * @param {You|null} you
 * @returns {{sentence: string, act: "continue"|"retry", tone: ""|"bad"}|null}
 */
export function outcomeOf({ text, run, deleted_at }, you) {
  if (!run || isActive(run) || deleted_at) return null;
  const { status, finish_reason, cut_off } = run;
  if (status === "completed") {
    if (cut_off) {
      return { sentence: finish_reason === "pause_turn" ? strings.paused : strings.cut, act: "continue", tone: "" };
    }
    return FILTERED.has(finish_reason ?? "") ? { sentence: strings.filtered, act: "retry", tone: "bad" } : null;
  }
  const act = cut_off && text ? "continue" : "retry";
  return { sentence: reasonOf(run, you), act, tone: status === "failed" ? "bad" : "" };
}

/** @param {Run} run  @param {You|null} you */
function reasonOf({ status, stopped_by, error, usage, tokens, finished_at }, you) {
  if (status === "stopped" && stopped_by) {
    const name = stopped_by.id === you?.id ? null : stopped_by.name;
    return strings.stoppedBy(name, tokens ?? usage?.output_tokens ?? null);
  }
  if (error?.message) {
    const passed = finished_at ? (Date.now() - Date.parse(finished_at)) / 1000 : 0;
    return strings.refused({ ...error, retry_after: Math.max(0, (error.retry_after ?? 0) - Math.max(0, passed)) });
  }
  return strings.ended[/** @type {"stopped"|"failed"|"interrupted"} */ (status)];
}

export class Outcome {
  #reason;
  #action;
  /** @type {"continue"|"retry"|null} */
  #act = null;

  /** @param {{retry: () => void, continue: () => void}} on */
  constructor(on) {
    this.#reason = el("span");
    this.#action = textButton("", () => this.#act && on[this.#act]());
    this.element = el("p", { "data-part": "outcome", dir: "auto", hidden: true }, this.#reason, this.#action);
  }

  /**
   * @param {Message} message
   * @param {You|null} you
   * @param {boolean} offered true if the answer can be retried or continued now
   * @returns {"continue"|"retry"|null} what it offers
   */
  update(message, you, offered) {
    const outcome = outcomeOf(message, you);
    this.element.hidden = outcome === null;
    this.element.dataset.tone = outcome?.tone ?? "";
    this.#reason.textContent = outcome?.sentence ?? "";
    this.#act = outcome && offered ? outcome.act : null;
    this.#action.hidden = this.#act === null;
    this.#action.textContent = this.#act ? { retry: strings.retry, continue: strings.continue }[this.#act] : "";
    return this.#act;
  }
}

/**
 * What an answer used, on one line: model, tokens, time and cost. If it continues another one, tokens and cost are those of
 * both, and the time is left out: the run knows only its own.
 * @param {Pick<Message, "run"|"deleted_at"|"continues">} message
 * @returns {string} empty while the run is active, and if the answer was deleted
 */
export function usageOf({ run, deleted_at, continues }) {
  if (!run || isActive(run) || deleted_at) return "";
  const { model, usage, tokens, cost, started_at, finished_at } = run;
  const name = model?.slice(model.indexOf(":") + 1) || null;
  const output = tokens ?? usage?.output_tokens ?? null;
  const counts = usage && strings.usage(usage.input_tokens, output, tokens ? null : usage.total_tokens);
  const time =
    started_at && finished_at && !continues
      ? strings.seconds((Date.parse(finished_at) - Date.parse(started_at)) / 1000)
      : null;
  return [name, counts, time, cost && strings.cost(cost)].filter(Boolean).join(" · ");
}
