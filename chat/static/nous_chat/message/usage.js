// What an answer used, on one line: model, tokens, time and cost. Used by message.js.

import { strings } from "../i18n/strings.js";
import { isActive } from "../protocol/reducer.js";

/** @param {import("../protocol/types.d.ts").Run|null} run  @returns {string} empty while the run is active */
export function usageOf(run) {
  if (!run || isActive(run)) return "";
  const { model, usage, cost, started_at, finished_at } = run;
  const name = model?.slice(model.indexOf(":") + 1) || null;
  const counts = usage && strings.usage(usage.input_tokens, usage.output_tokens, usage.total_tokens);
  const time =
    started_at && finished_at ? strings.seconds((Date.parse(finished_at) - Date.parse(started_at)) / 1000) : null;
  return [name, counts, time, cost && strings.cost(cost)].filter(Boolean).join(" · ");
}
