// "Try it" next to the form of an agent in the admin: sends the form as it is, and draws the answer as it arrives. Without
// it, the button opens a page with the answer. Loaded by admin/nous_chat/storedagent/change_form.html.

import { setCurrency, setLanguage, strings } from "../i18n/strings.js";
import { MarkdownView } from "../markdown/view.js";
import { el } from "../ui/dom.js";

/** What the page holds in a script element. @param {string} id */
function json(id) {
  return JSON.parse(document.getElementById(id)?.textContent ?? "null");
}

const EVENTS = "application/x-ndjson";
const words = json("nous-try-words") ?? {};

/**
 * The events of a response, which has one a line.
 * @param {Response} response
 */
async function* read(response) {
  if (!response.ok || !response.body || !response.headers.get("content-type")?.startsWith(EVENTS)) throw response;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}

/** @param {HTMLFieldSetElement} panel */
function setUp(panel) {
  const form = /** @type {HTMLFormElement} */ (panel.closest("form"));
  const ask = /** @type {HTMLButtonElement} */ (panel.querySelector("[formaction]"));
  const stop = /** @type {HTMLButtonElement} */ (panel.querySelector("[data-stop]"));
  const output = /** @type {HTMLElement} */ (panel.querySelector(".nous-answer"));
  /** @type {AbortController|null} */
  let running = null;

  /** @param {boolean} active */
  const show = (active) => {
    ask.disabled = active;
    stop.hidden = !active;
    output.setAttribute("aria-busy", String(active));
  };

  const run = async () => {
    running = new AbortController();
    show(true);
    const thinking = el("pre", { dir: "auto" });
    const thoughts = el("details", { hidden: true }, el("summary", {}, words.thinking), thinking);
    const answer = el("div", { class: "nous-text", dir: "auto" });
    const view = new MarkdownView(answer);
    let text = "";
    output.replaceChildren(thoughts, answer);
    try {
      const response = await fetch(ask.formAction, {
        method: "POST",
        body: new FormData(form),
        headers: { accept: EVENTS },
        signal: running.signal,
        redirect: "error",
      });
      for await (const event of read(response)) {
        if (event.type === "text") view.set((text += event.text), true);
        else if (event.type === "thinking") {
          thoughts.hidden = false;
          thinking.append(event.text);
        } else if (event.type === "call") {
          const given = JSON.stringify(event.arguments);
          output.append(el("p", {}, `${words.calls} `, el("code", {}, event.name), " ", el("code", {}, given)));
        } else if (event.type === "end") finish(event);
      }
    } catch {
      output.append(el("p", { class: "nous-failed" }, running.signal.aborted ? words.stopped : words.away));
    }
    view.set(text, false);
    show(false);
  };

  /** @param {{model: string, tokens: number, cost: string|null, problem: string, detail: string}} end */
  const finish = ({ model, tokens, cost, problem, detail }) => {
    if (problem) output.append(el("p", { class: "nous-failed", dir: "auto" }, `${problem} ${detail}`));
    const figures = [model, `${tokens} ${words.tokens}`, cost && strings.cost(Number(cost))]
      .filter(Boolean)
      .join(" · ");
    if (model) output.append(el("p", { class: "nous-figures-line" }, figures));
  };

  ask.addEventListener("click", (event) => {
    event.preventDefault();
    run();
  });
  stop.addEventListener("click", () => running?.abort());
}

setLanguage(json("nous-words"));
setCurrency(words.currency ?? "USD");
for (const panel of document.querySelectorAll(".nous-try")) setUp(/** @type {HTMLFieldSetElement} */ (panel));
