// What an answer took: model, tokens, time, cost, in one muted line. Called by message.js.

import { words } from "../i18n/strings.js";
import { isActive } from "../protocol/reducer.js";

/** @param {object|null} run  @returns {string} empty while it goes on */
export function metaOf(run) {
  if (!run || isActive(run)) return "";
  const { model, usage, cost, started_at, finished_at } = run;
  const name = model?.slice(model.indexOf(":") + 1) || null;
  const counts = usage && words.usage(usage.input_tokens, usage.output_tokens, usage.total_tokens);
  const time = started_at && finished_at ? words.seconds((new Date(finished_at) - new Date(started_at)) / 1000) : null;
  return [name, counts, time, cost && words.cost(cost)].filter(Boolean).join(" · ");
}
