// The line above the composer: what each agent is doing, and who is typing. conversation.js updates it once a second and
// after each change.

import { strings } from "../i18n/strings.js";
import { isDocumentCall } from "../protocol/documents.js";
import { activeRuns } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";

/** @import { Message, RunState, State } from "../protocol/types.d.ts" */

const SLOW = 8_000; // ms without a frame from the model

export class Activity {
  #state;
  /** @type {Map<string, {seq: number, status: string, at: number}>} the newest frame of each run, and when it came */
  #seen = new Map();

  /** @param {State} state */
  constructor(state) {
    this.#state = state;
    this.element = el("p", { class: "activity", dir: "auto" });
  }

  /** @param {number} now in ms */
  show(now) {
    const state = this.#state;
    const active = activeRuns(state);
    for (const id of this.#seen.keys()) if (!active.some(([run]) => run === id)) this.#seen.delete(id);
    const writing = new Set([...state.documents.values()].map((document) => document.writing?.run));
    const sentences = active.map(([id, run]) => {
      const wait = (run.retryAt ?? 0) - now;
      const silence = this.#silence(id, run, now);
      return activityOf(state.messages.get(run.key ?? ""), silence, wait, writing.has(id), run.fellBack);
    });
    if (state.typing.size) sentences.push(strings.typing([...state.typing.values()]));
    const text = sentences.filter(Boolean).join(" · ");
    if (this.element.textContent !== text) this.element.textContent = text;
  }

  /** Milliseconds since the last frame of a run. @param {string} id  @param {RunState} run  @param {number} now */
  #silence(id, { seq, status }, now) {
    const seen = this.#seen.get(id);
    if (seen?.seq === seq && seen.status === status) return now - seen.at;
    this.#seen.set(id, { seq, status, at: now });
    return 0;
  }
}

/**
 * What an agent is doing.
 * @param {Message|undefined} message the answer
 * @param {number} silence in ms
 * @param {number} wait in ms until a busy model is asked again
 * @param {boolean} [writing] in a document; that is not in the run's frames
 * @param {boolean} [fellBack] to another model
 */
export function activityOf(message, silence, wait, writing = false, fellBack = false) {
  if (!message?.run) return "";
  const { run, parts, calls } = message;
  const agent = run.agent?.name ?? strings.assistant;
  if (run.status === "queued") return run.place ? strings.doing.queued(agent, run.place) : strings.doing.starts(agent);
  if (run.status === "awaiting_approval") return strings.doing.asks(agent);
  if (writing) return strings.doing.writes(agent);
  const call = calls.findLast(({ status }) => status === "running");
  if (call && isDocumentCall(call)) return strings.doing.writes(agent);
  if (call) return strings.doing.uses(agent, call.name);
  if (wait > 0) return strings.doing.waits(agent, Math.ceil(wait / 1000));
  if (silence >= SLOW) return strings.doing.slow(agent, Math.floor(silence / 1000));
  const last = parts.at(-1)?.type;
  if (last === "text") return strings.doing.writes(agent);
  if (last === "thinking") return strings.doing.thinks(agent);
  return fellBack ? strings.doing.fallsBack(agent) : strings.doing.starts(agent);
}
