// The dashboard of staff (docs/monitoring.md): what all processes report, and Stop. Loaded by nous_chat/dashboard.html.

import { breakerTable } from "./breakers.js";
import { Chart } from "./chart.js";
import { connect, fill, root, setup, words } from "./connection.js";
import { Figures } from "./figures.js";
import { age, brief, clock, gigabytes, number, percent, span, whole } from "./format.js";
import { Table } from "./table.js";

const DRAW_EVERY = 500; // ms; with figures.js' SILENT_AFTER, a process that hangs is seen within 3 s
const DRAW_CHARTS_EVERY = 10; // of these

const said = /** @type {HTMLElement} */ (root.querySelector(".said"));

/** @param {string} text */
function say(text) {
  said.textContent = text;
}

const figures = new Figures(/** @type {any} */ (setup));

// --- The connection

const socket = connect((event) => {
  if (event.type === "ack") say(words.stopped);
  else if (event.type === "error") {
    stopping.delete(event.ref);
    say(event.message);
    draw();
  } else {
    if (event.type === "watching") figures.resume(Date.now());
    figures.apply(event, Date.now());
  }
});

// --- The tables

/** @typedef {ReturnType<Figures["runs"]>[number]} Run */
/** @typedef {ReturnType<Figures["processes"]>[number]} Process */
/** @typedef {ReturnType<Figures["by"]>[number]} Part */

/** The runs that were asked to stop. @type {Set<string>} */
const stopping = new Set();

/** @param {Run} run  @param {HTMLElement} cell */
function showConversation(run, cell) {
  if (cell.firstChild) return;
  if (!setup.conversation) return cell.append(brief(run.conversation));
  const link = document.createElement("a");
  link.href = `${setup.conversation.replace("*", run.conversation)}?run=${run.id}`;
  link.textContent = brief(run.conversation);
  cell.append(link);
}

/** @param {Run} run  @param {HTMLElement} cell */
function showStop(run, cell) {
  let button = /** @type {HTMLButtonElement|null} */ (cell.firstElementChild);
  if (!button) {
    button = document.createElement("button");
    button.type = "button";
    const named = { agent: run.agent, conversation: brief(run.conversation) };
    button.setAttribute("aria-label", fill(words.stopOf, named));
    button.addEventListener("click", () => {
      if (stopping.has(run.id) || !socket.send({ type: "run.stop", run: run.id, ref: run.id })) return;
      stopping.add(run.id);
      draw();
    });
    cell.append(button);
  }
  const waits = stopping.has(run.id);
  button.setAttribute("aria-disabled", String(waits));
  button.textContent = waits ? words.stopping : words.stop;
}

/** @param {Run} run */
function stateOf(run) {
  if (run.queued) return words.queued;
  if (run.hangs) return words.hangs;
  return run.stuck ? fill(words.stuck, { seconds: whole.format(run.silence) }) : words.running;
}

const runs = new Table("runs", (/** @type {Run} */ { id }) => id, [
  { text: ({ conversation }) => conversation, show: showConversation },
  ...(setup.stop ? [{ text: () => words.stop, show: showStop }] : []),
  { text: ({ agent }) => agent },
  { text: ({ model }) => model },
  { text: stateOf, mark: ({ stuck, queued }) => (stuck ? "bad" : queued ? "quiet" : "good") },
  { text: (run) => (run.queued ? "" : age(run.age)), number: true },
  { text: (run) => (run.queued ? "" : whole.format(run.tokens ?? 0)), number: true },
  { text: ({ host }) => host },
]);

const processes = new Table("processes", (/** @type {Process} */ { host }) => host, [
  { text: ({ host }) => host },
  {
    text: ({ silentFor, draining }) =>
      silentFor ? fill(words.silent, { seconds: whole.format(silentFor) }) : draining ? words.draining : words.answers,
    mark: ({ silentFor, draining }) => (silentFor ? "bad" : draining ? "quiet" : "good"),
  },
  { text: ({ active }) => number(active), number: true },
  { text: ({ queued }) => number(queued), number: true },
  { text: ({ tokens, silentFor }) => (silentFor ? "" : number(tokens)), number: true },
  { text: ({ sockets }) => number(sockets), number: true },
  { text: ({ lag }) => span(lag), number: true },
  { text: ({ gaps }) => number(gaps), number: true },
  { text: ({ slow }) => number(slow), number: true },
  {
    text: ({ databaseUp, databaseQueue, silentFor }) =>
      silentFor ? "" : databaseUp ? number(databaseQueue) : words.away,
    mark: ({ databaseUp, silentFor }) => (databaseUp || silentFor ? "" : "bad"),
    number: true,
  },
  { text: ({ cpu, silentFor }) => (silentFor ? "" : percent.format(cpu)), number: true },
]);

/** @param {string} name */
const tableOf = (name) =>
  new Table(name, (/** @type {Part} */ part) => part.name, [
    { text: (part) => part.name },
    { text: ({ active }) => number(active), number: true },
    { text: ({ tokens }) => number(tokens), number: true },
    { text: ({ ended }) => number(ended), number: true },
    { text: ({ errors }) => number(errors), mark: ({ errors }) => (errors ? "bad" : ""), number: true },
    { text: ({ first }) => span(first), number: true },
    { text: ({ slowFirst }) => span(slowFirst), number: true },
  ]);
const models = tableOf("models");
const agents = tableOf("agents");

/** @typedef {ReturnType<Figures["providers"]>[number]} Provider */

const providers = new Table("providers", (/** @type {Provider} */ { name }) => name, [
  { text: ({ name }) => name },
  { text: ({ ended }) => number(ended), number: true },
  {
    text: ({ errors, ended }) => (ended ? `${number(errors)} (${percent.format(errors / ended)})` : number(errors)),
    mark: ({ errors }) => (errors ? "bad" : ""),
    number: true,
  },
  {
    text: ({ failure }) =>
      failure ? fill(words.lastFailure, { time: clock.format(failure.at * 1000), code: failure.code }) : words.never,
  },
  { text: ({ first }) => span(first), number: true },
  { text: ({ slowFirst }) => span(slowFirst), number: true },
  {
    text: ({ notAsked }) => notAsked.join(", ") || words.none,
    mark: ({ notAsked }) => (notAsked.length ? "bad" : ""),
  },
]);

const breakers = breakerTable(say);

const errors = new Table(
  "errors",
  (/** @type {{code: string, model: string, count: number}} */ { code, model }) => `${code} ${model}`,
  [{ text: ({ code }) => code }, { text: ({ model }) => model }, { text: ({ count }) => number(count), number: true }],
);

// --- The charts

/** @typedef {ReturnType<Figures["hour"]>[number]} Minute */
/** @typedef {Exclude<keyof Minute, "at">} Figure */

/** @type {{title: string, lines: {figure: Figure, name: string}[], format: (value: number|null) => string, bars?: boolean}[]} */
const CHARTS = [
  { title: words.tokensChart, lines: [{ figure: "tokens", name: "" }], format: number },
  {
    title: words.runsChart,
    lines: [
      { figure: "active", name: words.active },
      { figure: "queued", name: words.waiting },
    ],
    format: number,
  },
  {
    title: words.firstChart,
    lines: [
      { figure: "first", name: words.median },
      { figure: "slowFirst", name: words.p95 },
    ],
    format: span,
  },
  {
    title: words.lagChart,
    lines: [
      { figure: "lag", name: words.median },
      { figure: "slowLag", name: words.p95 },
    ],
    format: span,
  },
  { title: words.errorsChart, lines: [{ figure: "errors", name: "" }], format: number, bars: true },
  { title: words.socketsChart, lines: [{ figure: "sockets", name: "" }], format: number },
  { title: words.gapsChart, lines: [{ figure: "gaps", name: "" }], format: number, bars: true },
  { title: words.slowChart, lines: [{ figure: "slow", name: "" }], format: number, bars: true },
  { title: words.databaseChart, lines: [{ figure: "databaseQueue", name: "" }], format: number },
];

const charts = CHARTS.map(({ title, lines, bars }) => {
  const names = lines.length > 1 ? lines.map(({ name }) => name) : [];
  const chart = new Chart(title, names, bars ?? false);
  root.querySelector(".charts")?.append(chart.element);
  for (const { name } of lines) {
    const head = document.createElement("th");
    head.scope = "col";
    head.className = "number";
    head.textContent = name ? `${title}, ${name}` : title;
    root.querySelector('[data-table="hour"] thead tr')?.append(head);
  }
  return chart;
});

const hour = new Table("hour", (/** @type {Minute} */ { at }) => String(at), [
  { text: ({ at }) => clock.format(at * 1000) },
  ...CHARTS.flatMap(({ lines, format }) =>
    lines.map(({ figure }) => ({ text: (/** @type {Minute} */ minute) => format(minute[figure]), number: true })),
  ),
]);

/** @param {number} now */
function drawCharts(now) {
  const minutes = figures.hour(now);
  const last = minutes[minutes.length - 1];
  charts.forEach((chart, place) => {
    const { title, lines, format } = CHARTS[place];
    const values = lines.map(({ figure }) => minutes.map((minute) => minute[figure]));
    const known = values.flat().filter((value) => value !== null);
    const most = known.length ? format(Math.max(...known)) : words.none;
    const current = format(last[lines[0].figure]) || words.none;
    const ends = /** @type {[string, string]} */ ([minutes[0], last].map(({ at }) => clock.format(at * 1000)));
    chart.update(values, ends, format, fill(words.highest, { title, now: current, most }));
  });
  hour.update([...minutes].reverse().filter(({ tokens }) => tokens !== null));
}

// --- Drawing

/** The stuck runs that were announced. @type {Set<string>} */
let announced = new Set();

function draw() {
  const now = Date.now();
  figures.expire(now);
  const totals = figures.totals(now);
  /** @type {Record<string, string>} */
  const shown = {
    active: number(totals.active),
    queued: number(totals.queued),
    tokens: number(totals.tokens),
    sockets: number(totals.sockets),
    database: totals.databaseUp ? words.up : words.away,
    databaseQueue: number(totals.databaseQueue),
    layer: totals.layerUp ? words.up : words.away,
    ended: number(totals.ended),
    first: totals.first === null ? words.none : `${span(totals.first)} / ${span(totals.slowFirst)}`,
    lag: totals.lag === null ? words.none : span(totals.lag),
    errors: number(totals.errors),
    gaps: number(totals.gaps),
    slow: number(totals.slow),
  };
  const bad = new Set([
    ...(totals.databaseUp ? [] : ["database"]),
    ...(totals.layerUp ? [] : ["layer"]),
    ...(totals.errors ? ["errors"] : []),
  ]);
  for (const element of root.querySelectorAll("[data-figure]")) {
    const cell = /** @type {HTMLElement} */ (element);
    const name = cell.dataset.figure ?? "";
    if (cell.textContent !== shown[name]) cell.textContent = shown[name];
    cell.dataset.mark = bad.has(name) ? "bad" : "";
  }
  const current = figures.runs(now);
  const ids = new Set(current.map(({ id }) => id));
  for (const id of stopping) if (!ids.has(id)) stopping.delete(id);
  runs.update(current);
  processes.update(figures.processes(now));
  providers.update(figures.providers());
  breakers.update(figures.breakers());
  models.update(figures.by("model"));
  agents.update(figures.by("agent"));
  errors.update(figures.errors());
  const stuck = current.filter((run) => run.stuck);
  const news = stuck.find(({ id }) => !announced.has(id));
  if (news) say(fill(words.isStuck, { agent: news.agent, conversation: brief(news.conversation) }));
  announced = new Set(stuck.map(({ id }) => id));
}

// --- The system around the chat

const STATUS_EVERY = 60_000; // ms

/** @typedef {{id: string, level: number, message: string, hint: string}} Check */
const checks = new Table("checks", (/** @type {Check} */ { id, message }) => `${id} ${message}`, [
  { text: ({ id }) => id, mark: ({ level }) => (level >= 40 ? "bad" : "") },
  { text: ({ message, hint }) => (hint ? `${message} ${hint}` : message) },
]);

/** @param {any} status */
function showStatus(status) {
  /** @param {number} bytes */
  const size = (bytes) => gigabytes.format(bytes / 1e9);
  const { storage_seconds: seconds, disk_free: free, disk_total: total } = status;
  const what = { what: status.storage, time: seconds === null ? "" : span(seconds) };
  /** @type {Record<string, string>} */
  const texts = {
    database: fill(words.answersIn, { what: status.database, time: span(status.database_seconds) }),
    storage: fill(seconds === null ? words.fails : words.answersIn, what),
    disk: free === null ? words.elsewhere : fill(words.free, { free: size(free), total: size(total) }),
    versions: Object.entries(status.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
    migrations: status.migrations.join(", ") || words.noMigrations,
  };
  const bad = {
    storage: seconds === null,
    disk: free !== null && free < total / 20,
    migrations: status.migrations.length > 0,
  };
  for (const element of root.querySelectorAll("[data-status]")) {
    const cell = /** @type {HTMLElement} */ (element);
    const name = cell.dataset.status ?? "";
    cell.textContent = texts[name];
    cell.dataset.mark = /** @type {Record<string, boolean>} */ (bad)[name] ? "bad" : "";
  }
  checks.update(status.checks);
}

async function askStatus() {
  const failed = /** @type {HTMLElement} */ (root.querySelector(".status-failed"));
  try {
    const response = await fetch(setup.status, { redirect: "error" });
    if (!response.ok) throw new Error(response.statusText);
    showStatus(await response.json());
    failed.textContent = "";
  } catch {
    failed.textContent = words.statusFailed;
  }
  setTimeout(askStatus, STATUS_EVERY);
}
askStatus();

let ticks = 0;
function tick() {
  // While the connection is away, nothing is heard of the processes: what was shown last stays, and no row turns bad.
  if (socket.connection.name === "live") {
    draw();
    if (ticks % DRAW_CHARTS_EVERY === 1) drawCharts(Date.now());
    ticks += 1;
  }
  setTimeout(tick, DRAW_EVERY);
}

tick();
