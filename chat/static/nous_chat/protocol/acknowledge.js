// Acknowledges the frames of active runs, and requests the state of a run that has been silent too long. Reads the
// state and never changes it. conversation.js calls tick() once a second.

import { activeRuns } from "./reducer.js";

const SILENCE = 10_000; // ms
const APPROVAL_SILENCE = 60_000; // ms; while people consider an approval, few frames are expected

export class Acknowledger {
  #state;
  #send;
  /** @type {Map<string, {seq: number, at: number}>} by run: the last seq acknowledged, and when */
  #seen = new Map();

  /**
   * @param {import("./types.d.ts").State} state
   * @param {(command: import("./types.d.ts").Command) => void} send
   */
  constructor(state, send) {
    this.#state = state;
    this.#send = send;
  }

  /** Starts over: on a new socket, the server knows no acknowledgement. */
  reset() {
    this.#seen.clear();
  }

  /** @param {number} now in ms */
  tick(now) {
    for (const [run, { seq, status }] of activeRuns(this.#state)) {
      const seen = this.#seen.get(run);
      if (seen?.seq === seq) {
        if (now - seen.at < (status === "awaiting_approval" ? APPROVAL_SILENCE : SILENCE)) continue;
        this.#send({ type: "run.sync", run, ref: `sync:${run}` });
      } else if (seq > 0) {
        this.#send({ type: "run.ack", run, seq });
      }
      this.#seen.set(run, { seq, at: now });
    }
  }
}
