// Form fields that are used more than once. Used by the panel's parts.

import { el } from "./dom.js";

/**
 * A list to choose one from.
 * @param {string[]} values
 * @param {Object<string, string>} names by value
 * @param {string} [chosen]
 */
export function choice(values, names, chosen) {
  const select = el("select", {}, ...values.map((value) => el("option", { value }, names[value])));
  if (chosen !== undefined) select.value = chosen;
  return select;
}
