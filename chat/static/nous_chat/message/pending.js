// Stands where an answer's text will appear: three dots, or the place in the queue. Used by message.js.

import { strings } from "../i18n/strings.js";
import { isInProgress } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";

export class Pending {
  #place;

  constructor() {
    const dot = () => el("span", { "aria-hidden": "true" });
    this.#place = el("small");
    this.element = el("div", { "data-part": "pending", hidden: true }, dot(), dot(), dot(), this.#place);
  }

  /** @param {import("../protocol/types.d.ts").Message} message */
  update({ parts, run }) {
    const last = parts.at(-1);
    const waits = run !== null && isInProgress(run) && (!last || last.type === "call");
    this.element.toggleAttribute("hidden", !waits);
    this.#place.textContent = waits && run.place ? strings.place(run.place) : "";
  }
}
