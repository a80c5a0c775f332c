// The card that asks for an approval: what will happen, the arguments, Approve and Reject. tool-call.js shows it while
// the call awaits a decision.

import { limitMarks } from "../i18n/graphemes.js";
import { strings } from "../i18n/strings.js";
import { parseJson } from "../protocol/json.js";
import { el, icon, textButton } from "../ui/dom.js";
import { TextView } from "./text.js";

/** @import { Call, Decision } from "../protocol/types.d.ts" */

const EDITABLE = 10_000; // characters; of a longer text, a field takes seconds to lay out
const INVISIBLE = /(?![\n\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Arguments as indented JSON. Invisible characters, those that change the writing direction, and more marks in a row than
 * can be read are escaped: what is approved must be what is read.
 * @param {object|null} value
 */
export function readableJson(value) {
  if (value === null) return "";
  return limitMarks(JSON.stringify(value, null, 2).replace(INVISIBLE, escaped), escaped);
}

/** @param {string} characters */
const escaped = (characters) =>
  characters
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");

/**
 * Parses the arguments that the user has edited.
 * @param {string} text
 * @returns {{value: object, problem?: undefined}|{value?: undefined, problem: string}}
 */
export function readArguments(text) {
  let value;
  try {
    value = parseJson(text);
  } catch (error) {
    return { problem: strings.notJson(/line (\d+)/.exec(/** @type {Error} */ (error).message)?.[1]) };
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? { value } : { problem: strings.notObject };
}

/**
 * @typedef {object} Context what the card needs to know besides the call
 * @property {boolean} mayDecide
 * @property {string|null} launcher name of the user who asked for the answer: they may decide, too
 * @property {string} agent name
 * @property {string|null|undefined} decision null while the user's decision is being sent; a sentence if it was refused
 */

export class Approval {
  #onDecide;
  #title;
  #request;
  #terms;
  #text;
  #long;
  #problem;
  #reason;
  #controls;
  #buttons;
  #arguments = ""; // as the model wrote them
  #mayDecide = false;
  #pending = false;
  /** @type {string|null|undefined} */
  #decision;

  /** @param {(decision: Decision) => void} onDecide */
  constructor(onDecide) {
    this.#onDecide = onDecide;
    this.#title = el("strong", { dir: "auto" });
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
    this.#long = el("pre", { tabindex: "0", role: "group", dir: "ltr", hidden: true });
    this.#problem = el("p", { class: "problem", role: "alert" });
    this.#reason = el("input", {
      maxlength: "500",
      placeholder: strings.reasonHint,
      "aria-label": strings.reason,
      autocomplete: "off",
      dir: "auto",
    });
    this.#buttons = [
      textButton(strings.approve, () => this.#approve(), { class: "approve" }),
      el("button", { class: "reject" }, strings.reject), // submits the form, so Enter in the reason rejects
    ];
    this.#controls = el(
      "div",
      { class: "controls" },
      this.#buttons[0],
      el("form", { class: "rejection", onsubmit: (event) => this.#reject(event) }, this.#reason, this.#buttons[1]),
    );
    this.element = el(
      "div",
      { class: "approval", role: "group" },
      icon("tool"),
      this.#title,
      this.#request,
      el("label", {}, strings.arguments, this.#long, this.#text),
      this.#terms,
      this.#problem,
      this.#controls,
    );
  }

  /** @param {Call} call  @param {Context} context */
  update(call, { mayDecide, launcher, agent, decision }) {
    const action = strings.toolAction(call.name);
    this.#title.textContent = action;
    this.element.setAttribute("aria-label", strings.approvalNeeded(action));
    this.#request.textContent = strings.asks(agent, call.name);
    this.#terms.textContent = [
      mayDecide ? "" : strings.whoDecides(launcher),
      call.expires_at ? strings.decideUntil(call.expires_at) : "",
    ]
      .filter(Boolean)
      .join(" ");
    this.#terms.hidden = this.#terms.textContent === "";
    this.#fill(readableJson(call.arguments));
    this.#mayDecide = mayDecide;
    this.#pending = decision === null;
    this.#text.readOnly = this.#reason.readOnly = !mayDecide || this.#pending;
    this.#controls.hidden = !mayDecide;
    // Not `disabled`, which would lose the focus.
    for (const button of this.#buttons) button.setAttribute("aria-disabled", String(this.#pending));
    if (decision !== this.#decision) this.#complain(decision ?? "", false);
    this.#decision = decision;
  }

  /** Leaves the user's changes alone. Long arguments can only be read. @param {string} text */
  #fill(text) {
    if (text === this.#arguments) return;
    const long = text.length > EDITABLE;
    this.#text.hidden = long;
    this.#long.hidden = !long;
    if (long) {
      this.#long.ariaLabel = strings.arguments;
      new TextView(this.#long).set(text);
    } else if (this.#text.value === this.#arguments) this.#text.value = text;
    this.#arguments = text;
    this.#text.rows = Math.min(10, text.split("\n").length);
  }

  /** @param {string} sentence  @param {boolean} [invalid] are the arguments wrong? */
  #complain(sentence, invalid = sentence !== "") {
    this.#problem.textContent = sentence;
    this.#text.setAttribute("aria-invalid", String(invalid));
  }

  #approve() {
    if (this.#pending) return;
    if (this.#text.hidden || this.#text.value === this.#arguments) return this.#onDecide({ decision: "approve" });
    const { value, problem } = readArguments(this.#text.value);
    if (value) return this.#onDecide({ decision: "approve", arguments: value });
    this.#complain(problem);
    this.#text.focus();
  }

  /** @param {SubmitEvent} event */
  #reject(event) {
    event.preventDefault();
    if (this.#pending || !this.#mayDecide) return;
    const reason = this.#reason.value.trim();
    this.#onDecide({ decision: "reject", ...(reason && { reason }) });
  }
}
