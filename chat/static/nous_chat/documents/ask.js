// A dialog that asks for a line of text. Used by pane.js and history.js.

import { strings } from "../i18n/strings.js";
import { dialog } from "../ui/dialog.js";
import { el } from "../ui/dom.js";

/**
 * @param {Node} root the dialog is added to it
 * @param {{title: string, label: string, value: string, action: string, optional?: boolean}} question
 * @returns {Promise<string|null>} null if it was cancelled
 */
export function askForText(root, { title, label, value, action, optional = false }) {
  return new Promise((resolve) => {
    const field = el("input", { value, required: !optional, maxlength: 100, dir: "auto", autocomplete: "off" });
    const element = dialog(
      title,
      "confirm",
      el(
        "form",
        { method: "dialog" },
        el("label", { class: "question" }, label, field),
        el("button", { class: "secondary", value: "", formnovalidate: true }, strings.cancel),
        el("button", { class: "primary", value: "yes" }, action),
      ),
    );
    // Enter in a field presses the first button of a form, which would cancel.
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      if (field.reportValidity()) element.close("yes");
    });
    element.addEventListener("close", () => {
      element.remove();
      resolve(element.returnValue === "yes" ? field.value.trim() : null);
    });
    root.appendChild(element);
    element.showModal();
    field.select();
  });
}
