// The body of a message: its text, thinking, and tool calls, in the order in which they came. Used by message.js.

import { MarkdownView } from "../markdown/view.js";
import { documentOf } from "../protocol/documents.js";
import { sectionsOf } from "../protocol/parts.js";
import { mayDecide } from "../protocol/permissions.js";
import { awaitsApproval, isActive, isInProgress } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";
import { DocumentCard } from "./document-card.js";
import { TextView, Thinking } from "./text.js";
import { ToolCallView } from "./tool-call.js";

/** @import { Call, Decision, Message, Run, State, You } from "../protocol/types.d.ts" */

export class Body {
  /** How many calls await a decision. */
  approvals = 0;
  /** True while the model is thinking. */
  thinking = false;
  /** @type {Map<string, Text|Thinking|ToolCallView>} by the key of the section */
  #views = new Map();
  #onDecide;
  #onOpen;
  /** A document that the answer is writing, while its call is not complete. */
  #card;
  /** @type {string|undefined} its id */
  #written;

  /**
   * @param {(call: string, decision: Decision) => void} onDecide
   * @param {(document: string) => void} onOpen
   */
  constructor(onDecide, onOpen) {
    this.#onDecide = onDecide;
    this.#onOpen = onOpen;
    this.#card = new DocumentCard(() => this.#written && onOpen(this.#written));
    this.element = el("div", { class: "body" });
  }

  /**
   * Moves only the views that are out of place, so that a field keeps its focus.
   * @param {Message} message
   * @param {You|null} you
   * @param {Pick<State, "decisions"|"documents">} state
   */
  update(message, you, state) {
    const { run, role } = message;
    const sections = sectionsOf(message);
    const keys = new Set(sections.map(({ key }) => key));
    for (const [key, view] of this.#views) {
      if (keys.has(key)) continue;
      view.element.remove();
      this.#views.delete(key);
    }
    this.approvals = 0;
    this.thinking = run !== null && isInProgress(run) && sections.at(-1)?.type === "thinking";
    /** @type {ChildNode|null} */
    let place = this.element.firstChild;
    for (const section of sections) {
      const last = section === sections.at(-1);
      const view = this.#views.get(section.key) ?? this.#create(section.type, section.key, role);
      const focused = view.element.matches(":focus-within");
      if (view.element === place) place = place.nextSibling;
      else this.element.insertBefore(view.element, place);
      if (section.type !== "call") {
        if (view instanceof Thinking) view.set(section.text, last && this.thinking);
        else if (view instanceof Text) view.set(section.text, last && run !== null && isActive(run));
      } else if (run && view instanceof ToolCallView) {
        this.#updateCall(view, section.call, run, mayDecide(run, you), state);
        if (focused && !view.element.matches(":focus-within")) view.focus(); // the focused card is gone
      }
    }
    const shown = new Set(message.calls.map((call) => documentOf(state, call)?.id));
    const written = [...state.documents.values()].find(
      ({ id, writing }) => writing && writing.run === run?.id && !shown.has(id),
    );
    this.#written = written?.id;
    this.#card.show(written ?? null);
    if (!written) this.#card.element.remove();
    else if (!this.#card.element.parentNode) this.element.append(this.#card.element);
  }

  /** @param {ToolCallView} view  @param {Call} call  @param {Run} run  @param {boolean} mayDecide  @param {Pick<State, "decisions"|"documents">} state */
  #updateCall(view, call, run, mayDecide, state) {
    const awaiting = awaitsApproval(call, run);
    if (awaiting) this.approvals += 1;
    view.update(call, {
      active: isActive(run),
      awaiting,
      mayDecide,
      launcher: run.launched_by?.name ?? null,
      agent: run.agent?.name ?? "",
      decision: state.decisions.get(call.id),
      document: documentOf(state, call),
    });
  }

  /**
   * Adds to the end of the text or of the thinking. Returns false if that begins a new section.
   * @param {"text"|"thinking"} type  @param {string} text  @param {Message} message that includes it
   */
  append(type, text, message) {
    const count = message.parts.filter((part) => part.type === type).length;
    const view = this.#views.get(`${type} ${count - 1}`);
    if (!view || view instanceof ToolCallView) return false;
    view.append(text);
    return true;
  }

  /** @param {"text"|"thinking"|"call"} type  @param {string} key  @param {Message["role"]} role */
  #create(type, key, role) {
    const view =
      type === "text"
        ? new Text(role === "assistant")
        : type === "thinking"
          ? new Thinking()
          : new ToolCallView((decision) => this.#onDecide(key, decision), this.#onOpen);
    this.#views.set(key, view);
    return view;
  }
}

/** What people wrote, as it is; what agents wrote, as Markdown. */
class Text {
  #view;

  /** @param {boolean} markdown */
  constructor(markdown) {
    this.element = el("div", { "data-part": "text", dir: "auto", hidden: true });
    this.#view = markdown ? new MarkdownView(this.element) : new TextView(this.element, { links: true });
  }

  /** @param {string} text  @param {boolean} open true if more of it may follow */
  set(text, open) {
    this.element.hidden = text === "";
    this.#view.set(text, open);
  }

  /** @param {string} text */
  append(text) {
    this.element.toggleAttribute("hidden", false);
    this.#view.append(text);
  }
}
