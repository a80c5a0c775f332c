// Tells the server how far each active run has been applied, and asks after a run that has been silent for long.
// Reads the state, writes nothing. Called once a second by conversation.js.

import { activeRuns } from "./reducer.js";

const SILENCE = 10_000; // ms
const PATIENCE = 60_000; // while people think about an approval, little is expected

export class Follower {
  #state;
  #send;
  #seen = new Map(); // run -> {seq, at}

  /**
   * @param {import("./reducer.js").State} state
   * @param {(command: object) => void} send
   */
  constructor(state, send) {
    this.#state = state;
    this.#send = send;
  }

  /** A new socket knows of no acknowledgement yet. */
  reset() {
    this.#seen.clear();
  }

  /** @param {number} now in ms */
  tick(now) {
    for (const [run, { seq, status }] of activeRuns(this.#state)) {
      const seen = this.#seen.get(run);
      if (seen?.seq === seq) {
        if (now - seen.at < (status === "awaiting_approval" ? PATIENCE : SILENCE)) continue;
        this.#send({ type: "run.sync", run, ref: `sync:${run}` });
      } else if (seq > 0) {
        this.#send({ type: "run.ack", run, seq });
      }
      this.#seen.set(run, { seq, at: now });
    }
  }
}
