// Files that are dragged over a conversation: says that they may be dropped there, and hands them over. Made by
// conversation.js.

import { words } from "../i18n/strings.js";
import { el, icon } from "../ui/dom.js";

export class Drop {
  #depth = 0; // dragenter and dragleave come for each element under the pointer

  /**
   * @param {HTMLElement} area
   * @param {{allowed: () => boolean, files: (files: FileList) => void}} on
   */
  constructor(area, on) {
    this.element = el("div", { class: "drop", "aria-hidden": "true", hidden: true }, icon("clip"), words.dropHere);
    const carries = (event) => event.dataTransfer?.types.includes("Files") && on.allowed();
    const show = (step) => (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      this.#depth = Math.max(0, this.#depth + step);
      this.element.hidden = this.#depth === 0;
    };
    area.addEventListener("dragenter", show(1));
    area.addEventListener("dragover", show(0));
    area.addEventListener("dragleave", show(-1));
    area.addEventListener("drop", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      this.#depth = 0;
      this.element.hidden = true;
      on.files(event.dataTransfer.files);
    });
  }
}
