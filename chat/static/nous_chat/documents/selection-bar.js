// A line that asks the agent about the selected text. Its answer is a proposal. Used by pane.js.

import { el } from "../ui/dom.js";
import { documentStrings as texts } from "./strings.js";

export class SelectionBar {
  #context;
  #field;

  /** @param {import("./context.js").Context} context */
  constructor(context) {
    this.#context = context;
    this.#field = el("input", {
      required: true,
      maxlength: 2000,
      dir: "auto",
      placeholder: texts.askHint,
      "aria-label": texts.askAgent,
    });
    this.element = el(
      "form",
      {
        class: "selection-bar",
        hidden: true,
        onsubmit: (event) => {
          event.preventDefault();
          this.#ask(this.#field.value.trim());
        },
      },
      this.#field,
      el("button", { class: "secondary" }, texts.ask),
    );
  }

  /** @param {boolean} selected */
  show(selected) {
    if (this.element.matches(":focus-within")) return;
    this.element.hidden = !selected || !this.#context.mayWrite;
  }

  /** @param {string} question */
  #ask(question) {
    const { id, text, options } = this.#context;
    if (!question || !text) return;
    const { editor, session } = text;
    const { from, to } = editor.state.selection.main;
    const [start, end] = [session.fromEditor(from), session.fromEditor(to)];
    options.ask(question, { document: id, version: session.version, from: start, to: end });
    options.say(texts.asked);
    editor.focus();
    this.#field.value = "";
  }
}
