// Asks whether a tool may be used: what will happen, with which arguments, Approve and Reject. Made by call.js for as
// long as the call waits; what is decided goes to its callback.

import { words } from "../i18n/strings.js";
import { parse } from "../protocol/json.js";
import { el, icon } from "../ui/dom.js";

const INVISIBLE = /(?![\n\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Arguments as JSON on several lines. Characters that are not seen, or that turn the direction of what is, stand there
 * as escapes: nobody shall approve one thing and read another.
 * @param {object|null} value
 */
export function legible(value) {
  if (value === null) return "";
  return JSON.stringify(value, null, 2).replace(INVISIBLE, (found) =>
    found
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

/**
 * @param {string} text what a person made of the arguments
 * @returns {{value: object}|{problem: string}}
 */
export function readArguments(text) {
  let value;
  try {
    value = parse(text);
  } catch (error) {
    return { problem: words.notJson(/line (\d+)/.exec(error.message)?.[1]) };
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? { value } : { problem: words.notObject };
}

export class Approval {
  #onDecide;
  #title;
  #request;
  #terms;
  #text;
  #problem;
  #reason;
  #controls;
  #buttons;
  #asked = ""; // the arguments as the model wrote them
  #decider = false;
  #pending = false;
  #refusal;

  /** @param {(decision: object) => void} onDecide */
  constructor(onDecide) {
    this.#onDecide = onDecide;
    this.#title = el("h3", { dir: "auto" });
    this.#request = el("p", { dir: "auto" });
    this.#terms = el("p", { dir: "auto" });
    this.#text = el("textarea", {
      rows: "4",
      dir: "ltr",
      spellcheck: "false",
      autocapitalize: "off",
      autocomplete: "off",
      oninput: () => this.#complain(""),
    });
    this.#problem = el("p", { class: "problem", role: "alert" });
    this.#reason = el("input", {
      maxlength: "500",
      placeholder: words.reasonHint,
      "aria-label": words.reason,
      autocomplete: "off",
      dir: "auto",
    });
    this.#buttons = [
      el("button", { type: "button", class: "approve", onclick: () => this.#approve() }, words.approve),
      el("button", { class: "reject" }, words.reject), // Enter beside the reason means this one
    ];
    this.#controls = el(
      "div",
      { class: "controls" },
      this.#buttons[0],
      el("div", { class: "rejection" }, this.#reason, this.#buttons[1]),
    );
    this.element = el(
      "form",
      { class: "approval", role: "group", onsubmit: (event) => this.#reject(event) },
      icon("tool"),
      this.#title,
      this.#request,
      el("label", {}, words.arguments, this.#text),
      this.#terms,
      this.#problem,
      this.#controls,
    );
  }

  /**
   * @param {object} call a Call of the protocol
   * @param {{decider: boolean, launcher: string|null, agent: string, decision: string|null|undefined}} context as in call.js
   */
  update(call, { decider, launcher, agent, decision }) {
    const plainly = words.plainly(call.name);
    this.#title.textContent = plainly;
    this.element.setAttribute("aria-label", words.approvalNeeded(plainly));
    this.#request.textContent = words.asks(agent, call.name);
    this.#terms.textContent = [
      decider ? "" : words.whoDecides(launcher),
      call.expires_at ? words.decideUntil(call.expires_at) : "",
    ]
      .filter(Boolean)
      .join(" ");
    this.#terms.hidden = this.#terms.textContent === "";
    this.#fill(legible(call.arguments));
    this.#decider = decider;
    this.#pending = decision === null;
    this.#text.readOnly = this.#reason.readOnly = !decider || this.#pending;
    this.#controls.hidden = !decider;
    // Not `disabled`: that would take the focus away.
    for (const button of this.#buttons) button.setAttribute("aria-disabled", this.#pending);
    if (decision !== this.#refusal) this.#complain(decision ?? "", false);
    this.#refusal = decision;
  }

  /** What the person has changed is left alone. */
  #fill(asked) {
    if (asked === this.#asked) return;
    if (this.#text.value === this.#asked) this.#text.value = asked;
    this.#asked = asked;
    this.#text.rows = Math.min(10, asked.split("\n").length);
  }

  #complain(sentence, invalid = sentence !== "") {
    this.#problem.textContent = sentence;
    this.#text.setAttribute("aria-invalid", invalid);
  }

  #approve() {
    if (this.#pending) return;
    if (this.#text.value === this.#asked) return this.#onDecide({ decision: "approve" });
    const { value, problem } = readArguments(this.#text.value);
    if (!problem) return this.#onDecide({ decision: "approve", arguments: value });
    this.#complain(problem);
    this.#text.focus();
  }

  #reject(event) {
    event.preventDefault();
    if (this.#pending || !this.#decider) return;
    const reason = this.#reason.value.trim();
    this.#onDecide({ decision: "reject", ...(reason && { reason }) });
  }
}
