// What goes on in the conversation, as one line over the composer: what each agent is doing, who is typing. Called by
// conversation.js, once a second and when something has changed.

import { words } from "../i18n/strings.js";
import { activeRuns } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";

const SLOW = 8_000; // ms without a sign of life from the model

export class Activity {
  #state;
  #seen = new Map(); // run -> {seq, at}: its newest frame, and when that came

  /** @param {import("../protocol/reducer.js").State} state */
  constructor(state) {
    this.#state = state;
    this.element = el("p", { class: "activity", dir: "auto" });
  }

  /** @param {number} now in ms */
  show(now) {
    const state = this.#state;
    const active = activeRuns(state);
    for (const id of this.#seen.keys()) if (!active.some(([run]) => run === id)) this.#seen.delete(id);
    const sentences = active.map(([id, run]) => doing(state.messages.get(run.key), this.#silence(id, run, now)));
    if (state.typing.size) sentences.push(words.typing([...state.typing.values()]));
    const text = sentences.filter(Boolean).join(" · ");
    if (this.element.textContent !== text) this.element.textContent = text;
  }

  /** How long nothing has come of a run, in ms. */
  #silence(id, { seq, status }, now) {
    const seen = this.#seen.get(id);
    if (seen?.seq !== seq || seen.status !== status) this.#seen.set(id, { seq, status, at: now });
    return now - this.#seen.get(id).at;
  }
}

/**
 * What an agent is doing.
 * @param {object|undefined} message the answer
 * @param {number} silence in ms
 */
export function doing(message, silence) {
  if (!message?.run) return "";
  const { run, text, thinking, calls } = message;
  const agent = run.agent?.name ?? words.assistant;
  if (run.status === "queued") return run.place ? words.doing.queued(agent, run.place) : words.doing.begins(agent);
  if (run.status === "awaiting_approval") return words.doing.asks(agent);
  const call = calls.findLast(({ status }) => status === "running");
  if (call) return words.doing.uses(agent, call.name);
  if (silence >= SLOW) return words.doing.slow(agent, Math.floor(silence / 1000));
  if (text) return words.doing.writes(agent);
  return thinking ? words.doing.thinks(agent) : words.doing.begins(agent);
}
