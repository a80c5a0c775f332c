// What the processes report, as figures: pure, without a page. Times are in ms of this browser's clock where they are
// called `now`, and in seconds by the clocks of the servers where the reports hold them.

/** @typedef {[name: string, labels: string[], value: number, counts: number[]]} Series */
/** @typedef {{at: number, seconds: number, series: Series[]}} Minute */
/**
 * @typedef {object} Run
 * @property {string} id  @property {string} conversation  @property {string} model  @property {string} agent
 * @property {boolean} [queued]  @property {number} [age]  @property {number} [silence]  @property {number} [tokens]
 */
/**
 * @typedef {object} Report
 * @property {string} host  @property {number} at  @property {boolean} draining
 * @property {Series[]} series  @property {Run[]} runs  @property {Minute[]} minutes
 * @property {Breaker[]} [breakers]
 */
/**
 * @typedef {object} Breaker
 * @property {string} model  @property {string} state  @property {string} setting  @property {number} failures
 * @property {string} error
 */
/** @typedef {{host: string, report: Report|null, heardAt: number, window: Report[]}} Process */

const SILENT_AFTER = 2400; // ms without a report: processes send one a second
const GONE_AFTER = 60_000;
const ENDED_AFTER = 3000; // the same for a process that has said that it is about to end
const STUCK_AFTER = 15; // s in which neither the model nor a tool was heard
const WINDOW = 5; // reports over which a rate is measured
const MINUTE = 60;
const HOUR = 60;
const CHARACTERS_PER_TOKEN = 4;

export class Figures {
  /** @type {Map<string, Process>} */
  #processes = new Map();
  /** @type {Map<string, Map<number, Minute>>} minutes by host and start */
  #minutes = new Map();
  #labels;
  #buckets;

  /** @param {{labels: Record<string, string[]>, buckets: Record<string, number[]>}} setup of each metric */
  constructor({ labels, buckets }) {
    this.#labels = labels;
    this.#buckets = buckets;
  }

  /** Takes a frame of the dashboard's socket. @param {any} frame  @param {number} now */
  apply(frame, now) {
    if (frame.type === "watching") for (const host of frame.processes) this.#process(host, now);
    else if (frame.type === "past") this.#keep(frame.host, frame.minutes);
    else if (frame.type === "report") {
      const process = this.#process(frame.host, now);
      process.heardAt = now;
      process.report = frame;
      process.window = [...process.window, frame].slice(-WINDOW - 1);
      this.#keep(frame.host, frame.minutes);
    }
  }

  /** Nobody has heard the processes for a while, and that is not their fault. @param {number} now */
  resume(now) {
    for (const process of this.#processes.values()) {
      process.heardAt = now;
      process.window = [];
    }
  }

  /** Forgets processes that are gone, and minutes that are over. @param {number} now */
  expire(now) {
    for (const [host, { report, heardAt }] of this.#processes)
      if (now - heardAt > (report?.draining ? ENDED_AFTER : GONE_AFTER)) this.#processes.delete(host);
    for (const [host, minutes] of this.#minutes) {
      for (const at of minutes.keys()) if (at < now / 1000 - (HOUR + 2) * MINUTE) minutes.delete(at);
      if (!minutes.size) this.#minutes.delete(host);
    }
  }

  /** @param {number} now */
  processes(now) {
    return [...this.#processes.values()]
      .map(({ host, report, heardAt, window }) => {
        const past = [...(this.#minutes.get(host)?.values() ?? [])];
        return {
          host,
          silentFor: now - heardAt > SILENT_AFTER || !report ? (now - heardAt) / 1000 : 0,
          draining: report?.draining ?? false,
          active: this.#sum(report, "runs_active"),
          queued: this.#sum(report, "runs_queued"),
          tokens: this.#rate(window, "streamed_characters_total") / CHARACTERS_PER_TOKEN,
          sockets: this.#sum(report, "sockets"),
          lag: this.#quantile(past, "delta_lag_seconds", 0.95),
          gaps: this.#added(past, "syncs_total"),
          slow: this.#added(past, "sockets_too_slow_total"),
          databaseUp: this.#sum(report, "database_up") > 0,
          databaseQueue: this.#sum(report, "database_queue"),
          layerUp: (report?.series ?? []).every(([name, , value]) => name !== "layer_up" || value > 0),
          cpu: this.#rate(window, "cpu_seconds_total"),
        };
      })
      .sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  /** The runs of all processes, those that wait at the end. @param {number} now */
  runs(now) {
    const runs = [...this.#processes.values()].flatMap(({ host, report, heardAt }) => {
      const hangs = now - heardAt > SILENT_AFTER;
      const since = hangs ? (now - heardAt) / 1000 : 0;
      return (report?.runs ?? []).map((run) => {
        const silence = run.queued ? 0 : (run.silence ?? 0) + since;
        const age = run.queued ? 0 : (run.age ?? 0) + since;
        return { ...run, host, hangs, silence, age, stuck: !run.queued && (hangs || silence > STUCK_AFTER) };
      });
    });
    return runs.sort((a, b) => Number(a.queued ?? 0) - Number(b.queued ?? 0) || b.age - a.age);
  }

  /** The figures of each value of a label: of each model, or of each agent. @param {"model"|"agent"} label */
  by(label) {
    const past = this.#past();
    const windows = [...this.#processes.values()].map(({ window }) => window);
    return this.#names(label).map((name) => {
      const only = { [label]: name };
      const sums = windows.map((window) => this.#sum(window.at(-1) ?? null, "runs_active", only));
      const rates = windows.map((window) => this.#rate(window, "streamed_characters_total", only));
      return {
        name,
        active: add(sums),
        tokens: add(rates) / CHARACTERS_PER_TOKEN,
        ended: this.#added(past, "runs_total", only),
        errors: this.#added(past, "run_errors_total", only),
        first: this.#quantile(past, "first_token_seconds", 0.5, only),
        slowFirst: this.#quantile(past, "first_token_seconds", 0.95, only),
      };
    });
  }

  /** The values of a label in the last hour. @param {"model"|"agent"} label */
  #names(label) {
    /** @type {Set<string>} */
    const names = new Set();
    const newest = [...this.#processes.values()].flatMap(({ window }) => window.slice(-1));
    for (const { series } of [...this.#past(), ...newest])
      for (const [name, labels] of series) {
        const place = this.#labels[name]?.indexOf(label) ?? -1;
        if (place >= 0 && labels.length > place) names.add(labels[place]);
      }
    return [...names].sort();
  }

  /** The circuit breaker of each model that was asked or set, in all processes together. */
  breakers() {
    const reports = [...this.#processes.values()].flatMap(({ report }) => (report?.breakers ? [report] : []));
    /** @type {Map<string, Breaker[]>} */
    const found = new Map(this.#askable().map((model) => [model, []]));
    for (const { breakers = [] } of reports)
      for (const breaker of breakers) found.set(breaker.model, [...(found.get(breaker.model) ?? []), breaker]);
    return [...found.keys()].sort().map((model) => {
      const each = found.get(model) ?? [];
      const last = each.find(({ error }) => error);
      return {
        model,
        open: each.filter(({ state }) => state === "open").length,
        halfOpen: each.filter(({ state }) => state === "half_open").length,
        all: reports.length,
        setting: each.find(({ setting }) => setting !== "automatic")?.setting ?? "automatic",
        failures: Math.max(0, ...each.map(({ failures }) => failures)),
        error: last?.error ?? "",
      };
    });
  }

  /** The models of the site that are asked over the network. */
  #askable() {
    return this.#names("model").filter((model) => model.includes(":") && providerOf(model) !== "demo");
  }

  /** Each provider in the last hour, and which of its models some process does not ask. */
  providers() {
    const past = this.#past();
    const breakers = this.breakers();
    const notAsked = breakers.filter(({ open, halfOpen }) => open + halfOpen > 0).map(({ model }) => model);
    const models = new Set([...this.#names("model"), ...breakers.map(({ model }) => model)]);
    const names = new Set([...models].map(providerOf));
    return [...names].sort().map((name) => {
      const only = past.map((minute) => {
        const series = minute.series.filter((each) => {
          const place = this.#labels[each[0]]?.indexOf("model") ?? -1;
          return place >= 0 && each[1].length > place && providerOf(each[1][place]) === name;
        });
        return { ...minute, series };
      });
      /** @type {{at: number, code: string}|null} */
      let failure = null;
      for (const { at, series } of only)
        for (const [metric, [code]] of series)
          if (metric === "run_errors_total" && at >= (failure?.at ?? 0)) failure = { at, code };
      return {
        name,
        ended: this.#added(only, "runs_total"),
        errors: this.#added(only, "run_errors_total"),
        failure: /** @type {{at: number, code: string}|null} */ (failure),
        first: this.#quantile(only, "first_token_seconds", 0.5),
        slowFirst: this.#quantile(only, "first_token_seconds", 0.95),
        notAsked: notAsked.filter((model) => providerOf(model) === name),
      };
    });
  }

  /** Errors of the last hour, the most frequent first. */
  errors() {
    /** @type {Map<string, {code: string, model: string, count: number}>} */
    const found = new Map();
    for (const { series } of this.#past())
      for (const [name, [code, model], value] of series) {
        if (name !== "run_errors_total") continue;
        const key = `${code} ${model}`;
        found.set(key, { code, model, count: (found.get(key)?.count ?? 0) + value });
      }
    return [...found.values()].sort((a, b) => b.count - a.count);
  }

  /** The sums over all processes. @param {number} now */
  totals(now) {
    const processes = this.processes(now);
    const past = this.#past();
    const heard = processes.filter(({ silentFor }) => !silentFor);
    /** @param {(each: (typeof processes)[number]) => number} figure */
    const total = (figure) => add(processes.map(figure));
    return {
      active: total(({ active }) => active),
      queued: total(({ queued }) => queued),
      tokens: add(heard.map(({ tokens }) => tokens)),
      sockets: total(({ sockets }) => sockets),
      databaseQueue: total(({ databaseQueue }) => databaseQueue),
      databaseUp: heard.every(({ databaseUp }) => databaseUp),
      layerUp: heard.every(({ layerUp }) => layerUp),
      ended: this.#added(past, "runs_total"),
      errors: this.#added(past, "run_errors_total"),
      gaps: this.#added(past, "syncs_total"),
      slow: this.#added(past, "sockets_too_slow_total"),
      first: this.#quantile(past, "first_token_seconds", 0.5),
      slowFirst: this.#quantile(past, "first_token_seconds", 0.95),
      lag: this.#quantile(past, "delta_lag_seconds", 0.95),
    };
  }

  /** The last hour by minutes, the oldest first; a figure is null where nothing was measured. @param {number} now */
  hour(now) {
    const newest = Math.floor(now / 1000 / MINUTE) * MINUTE;
    return Array.from({ length: HOUR }, (_, place) => {
      const at = newest - (HOUR - 1 - place) * MINUTE;
      const found = [...this.#minutes.values()].flatMap((minutes) => minutes.get(at) ?? []);
      /** @param {string} name */
      const added = (name) => (found.length ? this.#added(found, name) : null);
      /** @param {string} name */
      const highest = (name) => (found.length ? add(found.map(({ series }) => sumOf(series, name))) : null);
      const rates = found.map(
        ({ series, seconds }) => sumOf(series, "streamed_characters_total") / Math.max(seconds, 1),
      );
      return {
        at,
        tokens: found.length ? add(rates) / CHARACTERS_PER_TOKEN : null,
        active: highest("runs_active"),
        queued: highest("runs_queued"),
        first: this.#quantile(found, "first_token_seconds", 0.5),
        slowFirst: this.#quantile(found, "first_token_seconds", 0.95),
        lag: this.#quantile(found, "delta_lag_seconds", 0.5),
        slowLag: this.#quantile(found, "delta_lag_seconds", 0.95),
        errors: added("run_errors_total"),
        sockets: highest("sockets"),
        gaps: added("syncs_total"),
        slow: added("sockets_too_slow_total"),
        databaseQueue: highest("database_queue"),
      };
    });
  }

  /** @param {string} host  @param {number} now  @returns {Process} */
  #process(host, now) {
    const known = this.#processes.get(host) ?? { host, report: null, heardAt: now, window: [] };
    this.#processes.set(host, known);
    return known;
  }

  /** @param {string} host  @param {Minute[]} minutes */
  #keep(host, minutes) {
    const kept = this.#minutes.get(host) ?? new Map();
    this.#minutes.set(host, kept);
    for (const minute of minutes) {
      const known = kept.get(minute.at);
      if (!known || known.seconds <= minute.seconds) kept.set(minute.at, minute);
    }
  }

  /** @returns {Minute[]} */
  #past() {
    return [...this.#minutes.values()].flatMap((minutes) => [...minutes.values()]);
  }

  /** @param {Series} series  @param {Record<string, string>} only */
  #matches([name, labels], only) {
    return Object.entries(only).every(([label, value]) => labels[this.#labels[name]?.indexOf(label)] === value);
  }

  /** @param {Report|null} report  @param {string} name  @param {Record<string, string>} [only] */
  #sum(report, name, only = {}) {
    return sumOf(
      (report?.series ?? []).filter((series) => this.#matches(series, only)),
      name,
    );
  }

  /** What was added in these minutes. @param {Minute[]} past  @param {string} name  @param {Record<string, string>} [only] */
  #added(past, name, only = {}) {
    return add(
      past.map(({ series }) =>
        sumOf(
          series.filter((each) => this.#matches(each, only)),
          name,
        ),
      ),
    );
  }

  /** How much a counter grows in a second. @param {Report[]} window  @param {string} name  @param {Record<string, string>} [only] */
  #rate(window, name, only = {}) {
    const [first, last] = [window[0], window.at(-1)];
    if (!first || !last || last.at <= first.at) return 0;
    return Math.max(0, this.#sum(last, name, only) - this.#sum(first, name, only)) / (last.at - first.at);
  }

  /**
   * A quantile of a histogram, in seconds, as exact as its buckets are; null if nothing was observed.
   * @param {Minute[]} past  @param {string} name  @param {number} share  @param {Record<string, string>} [only]
   */
  #quantile(past, name, share, only = {}) {
    const bounds = this.#buckets[name];
    const counts = new Array(bounds.length + 1).fill(0);
    for (const { series } of past)
      for (const each of series)
        if (each[0] === name && this.#matches(each, only))
          for (const [place, count] of each[3].entries()) counts[place] += count;
    return quantile(bounds, counts, share);
  }
}

/** @param {string} model as "provider:model" */
const providerOf = (model) => model.split(":")[0];

/** @param {number[]} numbers */
const add = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

/** @param {Series[]} series  @param {string} name */
const sumOf = (series, name) => add(series.filter((each) => each[0] === name).map(([, , value]) => value));

/**
 * The value below which a share of the observations lies, by linear interpolation within its bucket. What exceeds all
 * buckets counts as the last bound.
 * @param {number[]} bounds  @param {number[]} counts of each bucket alone, and of what exceeds all  @param {number} share
 */
export function quantile(bounds, counts, share) {
  const rank = add(counts) * share;
  if (!rank) return null;
  let below = 0;
  for (const [place, bound] of bounds.entries()) {
    const count = counts[place];
    if (count && below + count >= rank) {
      const start = bounds[place - 1] ?? 0;
      return start + ((bound - start) * (rank - below)) / count;
    }
    below += count;
  }
  return bounds[bounds.length - 1];
}
