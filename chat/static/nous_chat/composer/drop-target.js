// Files dragged over a conversation: shows that they can be dropped there, and passes them on. Used by conversation.js.

import { strings } from "../i18n/strings.js";
import { el, icon } from "../ui/dom.js";

export class DropTarget {
  #depth = 0; // dragenter and dragleave are sent for each element under the pointer

  /**
   * @param {HTMLElement} area
   * @param {{allowed: () => boolean, files: (files: FileList) => void}} on
   */
  constructor(area, on) {
    this.element = el(
      "div",
      { class: "drop-target", "aria-hidden": "true", hidden: true },
      icon("clip"),
      strings.dropHere,
    );
    const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") && on.allowed();
    const show = (/** @type {number} */ step) => (/** @type {DragEvent} */ event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.#depth = Math.max(0, this.#depth + step);
      this.element.hidden = this.#depth === 0;
    };
    area.addEventListener("dragenter", show(1));
    area.addEventListener("dragover", show(0));
    area.addEventListener("dragleave", show(-1));
    area.addEventListener("drop", (event) => {
      if (!hasFiles(event) || !event.dataTransfer) return;
      event.preventDefault();
      this.#depth = 0;
      this.element.hidden = true;
      on.files(event.dataTransfer.files);
    });
  }
}
