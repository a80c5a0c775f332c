// The newest lines of the log of all processes, and a filter: pure, without a page. Bounded, whatever is logged.

export const MAX_LINES = 5000;
const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

/**
 * @typedef {object} Line  the fields of docs/monitoring.md, and its number in its process
 * @property {number} number  @property {string} time  @property {string} level  @property {string} logger
 * @property {string} message  @property {string} process  @property {string} [conversation]  @property {string} [run]
 * @property {string} [user]  @property {string} [exception]  @property {string} key
 */
/** @typedef {{level: string, logger: string, conversation: string, run: string, user: string, text: string}} Filter */

export class LogBuffer {
  /** @type {Line[]} the oldest first */
  #lines = [];
  /** @type {Set<string>} */
  #keys = new Set();
  /** Lines that did not come here, because there were too many. */
  dropped = 0;

  /** Takes a frame of the log's socket. @param {any} frame */
  apply(frame) {
    if (frame.type === "missed") this.dropped += frame.lines;
    if (frame.type !== "log") return;
    this.dropped += frame.dropped;
    for (const line of frame.lines) {
      line.key = `${frame.host} ${line.number}`;
      if (this.#keys.has(line.key)) continue; // what was sent before the connection was lost
      this.#keys.add(line.key);
      this.#lines.push(line);
    }
    // Sorting is stable, and the lines of a process come in their order.
    this.#lines.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    for (const line of this.#lines.splice(0, Math.max(0, this.#lines.length - MAX_LINES))) this.#keys.delete(line.key);
  }

  get size() {
    return this.#lines.length;
  }

  /** The lines that pass, the oldest first. @param {Filter} filter */
  matching({ level, logger, conversation, run, user, text }) {
    const least = LEVELS.indexOf(level);
    const wanted = text.toLowerCase();
    return this.#lines.filter(
      (line) =>
        rank(line.level) >= least &&
        (!logger || line.logger === logger || line.logger.startsWith(`${logger}.`)) &&
        (!conversation || (line.conversation ?? "").startsWith(conversation)) &&
        (!run || (line.run ?? "").startsWith(run)) &&
        (!user || line.user === user) &&
        (!wanted || `${line.message}\n${line.exception ?? ""}`.toLowerCase().includes(wanted)),
    );
  }
}

/** Levels of a site's own are like INFO. @param {string} level */
const rank = (level) => (LEVELS.includes(level) ? LEVELS.indexOf(level) : LEVELS.indexOf("INFO"));
