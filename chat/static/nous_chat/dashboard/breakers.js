// The circuit breakers of all models: their states, and how staff open and close them.

import { fill, setup, words } from "./connection.js";
import { number, whole } from "./format.js";
import { Table } from "./table.js";

/** @import { Figures } from "./figures.js" */
/** @typedef {ReturnType<Figures["breakers"]>[number]} Breaker */

const FOLLOWED_AFTER = 4000; // ms until all processes report what was set

/** What was chosen for a model, and is not reported yet. @type {Map<string, string>} */
const chosen = new Map();

/** @param {(text: string) => void} say */
export function breakerTable(say) {
  /** @param {Breaker} breaker  @param {HTMLElement} cell */
  function show({ model, setting }, cell) {
    const select = cell.querySelector("select") ?? createSelect(model, cell);
    const shown = chosen.get(model) ?? setting;
    if (select.value !== shown) select.value = shown;
  }

  /** @param {string} model  @param {HTMLElement} cell */
  function createSelect(model, cell) {
    const select = document.createElement("select");
    select.setAttribute("aria-label", fill(words.breakerOf, { model }));
    for (const [value, text] of Object.entries(setup.settings)) select.add(new Option(text, value));
    select.addEventListener("change", () => chosen.set(model, select.value));
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words.set;
    button.setAttribute("aria-label", fill(words.setBreaker, { model }));
    button.addEventListener("click", async () => {
      const { value } = select;
      chosen.set(model, value);
      say(await setBreaker(model, value));
      setTimeout(() => chosen.get(model) === value && chosen.delete(model), FOLLOWED_AFTER);
    });
    cell.append(select, " ", button);
    return select;
  }

  return new Table("breakers", (/** @type {Breaker} */ { model }) => model, [
    { text: ({ model }) => model },
    { text: stateOf, mark: ({ open, halfOpen }) => (open + halfOpen ? "bad" : "") },
    { text: ({ failures }) => number(failures), number: true },
    { text: ({ error }) => error || words.none },
    { text: ({ setting }) => setup.settings[setting], show: setup.breaker ? show : undefined },
  ]);
}

/** @param {Breaker} breaker */
function stateOf({ open, halfOpen, all }) {
  if (!open && !halfOpen) return words.breakerClosed;
  const values = { count: whole.format(open || halfOpen), all: whole.format(all) };
  return fill(open ? words.breakerOpen : words.breakerHalfOpen, values);
}

/** Returns what to tell the person. @param {string} model  @param {string} setting */
async function setBreaker(model, setting) {
  const options = {
    method: "POST",
    headers: { "X-CSRFToken": setup.csrf },
    body: new URLSearchParams({ model, setting }),
  };
  const response = await fetch(setup.breaker, options).catch(() => null);
  return fill(response?.ok ? words.breakerSet : words.breakerFailed, { model });
}
