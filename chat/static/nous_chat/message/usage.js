// What an answer used, on one line: model, tokens, time and cost. If it continues another one, tokens and cost are those of
// both, and the time is left out: the run knows only its own. Used by message.js.

import { strings } from "../i18n/strings.js";
import { isActive } from "../protocol/reducer.js";

/**
 * @param {Pick<import("../protocol/types.d.ts").Message, "run"|"deleted_at"|"continues">} message
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
