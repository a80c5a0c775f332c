// One message as one <article>. It is made once and then only changed: whole by update(), at its end by append().
// Called by messages.js; knows nothing of the other messages.

import { isActive, isWaiting, isWriting } from "./apply.js";
import { CallView } from "./call.js";
import { avatar, el, icon } from "./dom.js";
import { TextView } from "./text.js";
import { words } from "./words.js";

export class MessageView {
  waiting = 0; // how many of its calls wait for a decision
  #parts = {}; #views = {}; #calls = new Map(); #retry; #onDecide; #by = null;

  /**
   * @param {object} on
   * @param {() => void} on.retry
   * @param {(call: string, decision: object) => void} on.decide
   */
  constructor(on) {
    const part = (name, tag, ...children) => (this.#parts[name] = el(tag, { "data-part": name, dir: "auto" }, ...children));
    this.#retry = el("button", { type: "button", class: "quiet", onclick: on.retry }, words.retry);
    this.#onDecide = on.decide;
    this.#parts.summary = el("summary");
    this.element = el("article", {},
      part("by", "header"),
      part("thinking", "details", this.#parts.summary, (this.#parts.thought = el("div", { class: "thought" }))),
      part("calls", "div"),
      part("dots", "div", el("span"), el("span"), el("span")),
      part("text", "div"),
      part("approvals", "div"), // under the text, where the eye is
      part("end", "p", (this.#parts.reason = el("span")), this.#retry),
      part("meta", "p"),
    );
    this.#parts.dots.setAttribute("aria-hidden", "true");
    this.#views = { text: new TextView(this.#parts.text), thinking: new TextView(this.#parts.thought) };
  }

  /**
   * @param {object} message as in the state of apply.js
   * @param {object} context
   * @param {object|null} context.you the reader
   * @param {boolean} context.retry can this answer be made again?
   * @param {Map<string, string|null>} context.decisions as in the state
   */
  update(message, { you, retry, decisions }) {
    this.seq = message.seq;
    const run = message.run;
    const mine = message.role === "user" && (message.id === null || message.author?.id === you?.id);
    const { dataset } = this.element;
    dataset.role = message.role;
    if (message.id) dataset.message = message.id;
    if (run) dataset.status = run.status;
    this.element.toggleAttribute("data-unsent", message.unsent ?? false);
    this.group = message.role + (message.author?.id ?? (mine ? you?.id : null) ?? run?.agent?.slug ?? "");
    this.#signature(message, mine);
    this.#views.text.set(message.text);
    this.#views.thinking.set(message.thinking);
    this.#tools(message, you, decisions);
    this.#progress(message);
    this.#ending(run, you);
    this.#retry.hidden = !retry;
  }

  /** @param {"text"|"thinking"} part  @param {string} text  @param {object} message with that text in it */
  append(part, text, message) {
    this.#views[part].append(text);
    this.#progress(message);
  }

  /** The first of a group carries the name. */
  lead(on) {
    this.element.toggleAttribute("data-lead", on);
  }

  #signature(message, mine) {
    const author = message.author ?? { id: "", name: words.you };
    const name = mine ? words.you : {
      user: author.name, assistant: message.run?.agent?.name ?? words.assistant, system: words.system,
    }[message.role];
    const by = [name, message.created_at, message.unsent].join();
    if (by === this.#by) return;
    this.#by = by;
    const mark = message.role === "user" ? avatar(author) : el("span", { class: "avatar agent" }, icon("spark"));
    const time = message.created_at && el("time", { datetime: message.created_at, title: words.date(message.created_at) },
      words.time(message.created_at));
    const unsent = message.unsent ? el("span", { class: "unsent" }, icon("clock"), words.unsent) : null;
    this.#parts.by.replaceChildren(...[mark, el("span", { class: "name" }, name), unsent ?? time].filter(Boolean));
    this.element.setAttribute("aria-label", name);
  }

  /** A line for each call, a card for each that waits. Only what stands elsewhere is moved: a field keeps its focus. */
  #tools({ calls, run }, you, decisions) {
    const last = new Map(); // the one placed last in each part
    this.waiting = 0;
    for (const [id, view] of this.#calls) {
      if (calls.some((call) => call.id === id)) continue;
      view.element.remove();
      this.#calls.delete(id);
    }
    for (const call of calls) {
      if (!this.#calls.has(call.id)) this.#calls.set(call.id, new CallView((decision) => this.#onDecide(call.id, decision)));
      const view = this.#calls.get(call.id);
      const waiting = isWaiting(call, run);
      if (waiting) this.waiting += 1;
      const part = this.#parts[waiting ? "approvals" : "calls"];
      const place = last.has(part) ? last.get(part).nextSibling : part.firstChild;
      const focused = view.element.matches(":focus-within");
      if (place !== view.element) part.insertBefore(view.element, place);
      last.set(part, view.element);
      view.update(call, {
        active: isActive(run), waiting, writer: you?.role !== "viewer", agent: run.agent.name, decision: decisions.get(call.id),
      });
      if (focused && !view.element.matches(":focus-within")) view.focus(); // it went with the card
    }
  }

  /** What moves while an answer is being written: dots until it begins, the last sentence of the thinking. */
  #progress({ text, thinking, calls, run }) {
    const active = run !== null && isWriting(run);
    this.#parts.dots.hidden = !active || text !== "" || (thinking !== "" && calls.length === 0);
    this.#parts.text.hidden = text === "";
    this.#parts.thinking.hidden = thinking === "";
    const pondering = active && thinking !== "" && text === "";
    this.element.toggleAttribute("data-pondering", pondering);
    if (thinking) this.#parts.summary.textContent = pondering ? lastSentence(thinking) : words.thought;
  }

  #ending(run, you) {
    const over = run !== null && !isActive(run);
    const reason = over ? reasonOf(run, you) : null;
    this.#parts.end.hidden = reason === null;
    this.#parts.reason.textContent = reason ?? "";
    this.#parts.end.dataset.tone = run?.status === "failed" ? "bad" : "";
    const meta = over ? metaOf(run) : "";
    this.#parts.meta.hidden = meta === "";
    this.#parts.meta.textContent = meta;
    if (over) this.#parts.meta.title = run.model ?? "";
  }
}

/** Why an answer ended before its end, as a sentence; null if it is complete. */
export function reasonOf({ status, error, stopped_by }, you) {
  if (status === "completed") return null;
  if (stopped_by) return stopped_by.id === you?.id ? words.stoppedByYou : words.stoppedBy(stopped_by.name);
  return error?.message || words[status];
}

function metaOf({ model, usage, started_at, finished_at }) {
  const name = model?.slice(model.indexOf(":") + 1) || null;
  const counts = usage && words.usage(usage.input_tokens, usage.output_tokens, usage.total_tokens);
  const time = started_at && finished_at ? words.seconds((new Date(finished_at) - new Date(started_at)) / 1000) : null;
  return [name, counts, time].filter(Boolean).join(" · ");
}

/** The end of a thought that is still going on; only its last 400 characters are looked at. */
function lastSentence(thinking) {
  const sentences = thinking.slice(-400).trim().split(/(?<=[.!?…])\s+|\n+/);
  return sentences.at(-1).replace(/[*#_`]/g, "").slice(-160) || words.thinking;
}
