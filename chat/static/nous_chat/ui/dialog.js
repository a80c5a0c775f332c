// Dialogs: closed by Escape, by the close button or by a click outside; then the focus returns to where it was. Used by
// keyboard.js, switcher.js, edit-history.js, panel/panel.js and panel/sections.js.

import { strings } from "../i18n/strings.js";
import { el, iconButton } from "./dom.js";

let count = 0;

/**
 * @param {string} title
 * @param {string} className
 * @param {...Node} children
 */
export function dialog(title, className, ...children) {
  const id = `dialog-${(count += 1)}`;
  /** @type {HTMLDialogElement} */
  const element = el(
    "dialog",
    {
      class: className,
      "aria-labelledby": id,
      onclick: ({ target }) => target === element && element.close(),
    },
    el(
      "div",
      { class: "window" },
      el("header", {}, el("h2", { id }, title), iconButton("close", strings.close, { onclick: () => element.close() })),
      ...children,
    ),
  );
  return element;
}

/**
 * Asks before something that cannot be undone.
 * @param {Node} root the dialog is added to it
 * @param {{title: string, text: string, action: string}} question
 * @returns {Promise<boolean>}
 */
export function confirm(root, { title, text, action }) {
  return new Promise((resolve) => {
    const element = dialog(
      title,
      "confirm",
      el("p", { dir: "auto" }, text),
      el(
        "form",
        { method: "dialog" },
        el("button", { class: "secondary", value: "" }, strings.cancel),
        el("button", { class: "primary bad", value: "yes" }, action),
      ),
    );
    element.addEventListener("close", () => {
      element.remove();
      resolve(element.returnValue === "yes");
    });
    root.appendChild(element);
    element.showModal();
  });
}
