// Once a second: tells the server how far each active run has been applied, and asks after a run that has been silent
// for ten seconds. Reads the state, writes nothing. Started by conversation.js.

import { isActive } from "./apply.js";

const SILENCE = 10_000;

export class Follower {
  #state; #send; #timer;
  #seen = new Map(); // run id -> {seq, at}

  /**
   * @param {import("./apply.js").State} state
   * @param {(command: object) => void} send
   */
  constructor(state, send) {
    this.#state = state;
    this.#send = send;
  }

  start() {
    this.#timer = setInterval(() => this.tick(Date.now()), 1000);
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** A new socket knows of no acknowledgement yet. */
  reset() {
    this.#seen.clear();
  }

  tick(now) {
    for (const [id, run] of this.#state.runs) {
      if (!isActive(run)) {
        this.#seen.delete(id);
        continue;
      }
      const seen = this.#seen.get(id);
      if (seen?.seq === run.seq) {
        if (now - seen.at < SILENCE) continue;
        this.#send({ type: "run.sync", run: id, ref: `sync:${id}` });
      } else if (run.seq > 0) {
        this.#send({ type: "run.ack", run: id, seq: run.seq });
      }
      this.#seen.set(id, { seq: run.seq, at: now });
    }
  }
}
