// The log of all processes, live (docs/monitoring.md). Loaded by nous_chat/log.html.

import { connect, fill, language, root, words } from "./connection.js";
import { LogBuffer } from "./log-buffer.js";

const DRAW_EVERY = 500; // ms
const STEP = 300; // lines that are shown, and by how many more "earlier" shows
const IDS = ["conversation", "run", "user"];

/** @typedef {import("./log-buffer.js").Line} Line */
/** @typedef {import("./log-buffer.js").Filter} Filter */

const buffer = new LogBuffer();
const form = /** @type {HTMLFormElement} */ (root.querySelector(".filters"));
const lines = /** @type {HTMLElement} */ (root.querySelector(".lines"));
const list = lines.appendChild(document.createElement("ol"));
const shown = /** @type {HTMLElement} */ (root.querySelector(".shown"));
const dropped = /** @type {HTMLElement} */ (root.querySelector(".dropped"));
const earlier = /** @type {HTMLButtonElement} */ (root.querySelector(".earlier"));
const newer = /** @type {HTMLButtonElement} */ (root.querySelector(".newer"));

const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const whole = new Intl.NumberFormat(language);

/** The rows by the keys of their lines. @type {Map<string, HTMLLIElement>} */
const rows = new Map();
let limit = STEP;
let changed = true;
/** Whether the newest lines are in sight. Otherwise nothing moves. */
let follows = true;

/** @returns {Filter} */
function filter() {
  const data = new FormData(form);
  const names = ["level", "logger", "conversation", "run", "user", "text"];
  return /** @type {Filter} */ (Object.fromEntries(names.map((name) => [name, String(data.get(name) ?? "").trim()])));
}

/** @param {string} tag  @param {string} name of the class  @param {string} text */
function part(tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

/** @param {Line} line */
function rowOf(line) {
  const row = document.createElement("li");
  row.dataset.level = line.level;
  const time = part("time", "time", clock.format(new Date(line.time)));
  time.setAttribute("datetime", line.time);
  row.append(
    time,
    part("span", "level", line.level),
    part("span", "logger", line.logger),
    part("span", "message", line.message),
  );
  for (const name of IDS) {
    const value = /** @type {Record<string, any>} */ (line)[name];
    if (!value) continue;
    const button = /** @type {HTMLButtonElement} */ (part("button", "id", `${words[name]} ${value.slice(0, 8)}`));
    button.type = "button";
    button.setAttribute("aria-label", fill(words.only, { name: words[name], value }));
    button.addEventListener("click", () => {
      /** @type {HTMLInputElement} */ (form.elements.namedItem(name)).value = value;
      refilter();
    });
    row.append(button);
  }
  row.append(part("span", "id", line.process));
  if (line.exception) {
    const details = document.createElement("details");
    details.append(part("summary", "", words.traceback), part("pre", "", line.exception));
    row.append(details);
  }
  return row;
}

function draw() {
  const found = buffer.matching(filter());
  const numbers = { shown: whole.format(found.length), kept: whole.format(buffer.size) };
  shown.textContent = fill(words.shown, numbers);
  dropped.textContent = buffer.dropped ? fill(words.dropped, { count: whole.format(buffer.dropped) }) : "";
  newer.hidden = follows;
  if (!follows) return;
  const visible = found.slice(-limit);
  const keys = new Set(visible.map(({ key }) => key));
  for (const [key, row] of rows)
    if (!keys.has(key)) {
      row.remove();
      rows.delete(key);
    }
  visible.forEach((line, place) => {
    const row = rows.get(line.key) ?? rowOf(line);
    rows.set(line.key, row);
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
  earlier.hidden = found.length <= visible.length;
  lines.scrollTop = lines.scrollHeight;
}

function refilter() {
  limit = STEP;
  follows = true;
  draw();
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", refilter);
form.addEventListener("reset", () => setTimeout(refilter));
lines.addEventListener("scroll", () => {
  follows = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
  newer.hidden = follows;
});
newer.addEventListener("click", refilter);
earlier.addEventListener("click", () => {
  // What is in sight stays there.
  const below = lines.scrollHeight - lines.scrollTop;
  limit += STEP;
  follows = true;
  draw();
  lines.scrollTop = lines.scrollHeight - below;
});

for (const [name, value] of new URLSearchParams(location.search)) {
  const field = form.elements.namedItem(name);
  if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) field.value = value;
}
connect((event) => {
  buffer.apply(event);
  changed = true;
});
setInterval(() => {
  if (changed) draw();
  changed = false;
}, DRAW_EVERY);
draw();
