// Who writes in a document: a bar with the agent that does, and what screen readers are told. Used by pane.js.

import { el, textButton } from "../ui/dom.js";
import { documentStrings as texts } from "./strings.js";

/** @import { Person, Writing } from "../protocol/types.d.ts" */

const QUIET = 60_000; // ms after which somebody who types is announced again

export class Writers {
  #context;
  /** @type {Writing|null} what was announced last */
  #announced = null;
  /** @type {Map<string, number>} when the last change of a person came, by user id */
  #heard = new Map();

  /** @param {import("./context.js").Context} context */
  constructor(context) {
    this.#context = context;
    this.element = el("div", { class: "document-writer", hidden: true });
  }

  show() {
    const { text, title, options } = this.#context;
    const writing = text?.writing ?? null;
    if (writing?.run === this.#announced?.run) return;
    if (writing) options.say(texts.beganToWrite(writing.agent.name, title));
    else if (this.#announced) options.say(texts.stoppedWriting(this.#announced.agent.name, title));
    this.#announced = writing;
    const focused = this.element.matches(":focus-within");
    this.element.hidden = writing === null;
    if (writing) this.element.replaceChildren(...this.#parts(writing));
    if (focused && !writing) text?.editor.focus();
  }

  /** @param {Writing} writing */
  #parts({ agent }) {
    const { mayWrite } = this.#context;
    return [
      el("span", { class: "name" }, texts.writes(agent.name)),
      textButton(texts.showPlace, () => this.#context.text?.revealWriting()),
      ...(mayWrite ? [textButton(texts.takeOver, () => this.#takeOver())] : []),
    ];
  }

  #takeOver() {
    const { id, text, options } = this.#context;
    options.send({ type: "document.take_over", document: id, ref: `document:take:${id}` });
    text?.editor.focus();
  }

  /** Others who type are announced once, and again after a while. @param {Person} person */
  announce({ id, name }) {
    const now = performance.now();
    const before = this.#heard.get(id) ?? -Infinity;
    this.#heard.set(id, now);
    if (now - before >= QUIET) this.#context.options.say(texts.changed(name, this.#context.title));
  }
}
