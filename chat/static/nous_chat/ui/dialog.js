// A window over the page: Escape, the cross, or a click beside it closes it, and the focus goes back to where it was.
// Used by keys.js, switcher.js and panel.js.

import { words } from "../i18n/strings.js";
import { el, iconButton } from "./dom.js";

let made = 0;

/**
 * @param {string} title
 * @param {string} kind its class
 * @param {...Node} children
 * @returns {HTMLDialogElement}
 */
export function dialog(title, kind, ...children) {
  const id = `dialog-${(made += 1)}`;
  const element = el(
    "dialog",
    { class: kind, "aria-labelledby": id, onclick: ({ target }) => target === element && element.close() },
    el(
      "div",
      { class: "window" },
      el("header", {}, el("h2", { id }, title), iconButton("close", words.close, { onclick: () => element.close() })),
      ...children,
    ),
  );
  return element;
}

/**
 * Asks before what cannot be undone.
 * @param {Node} root where the window may stand
 * @param {{title: string, text: string, action: string}} question
 * @returns {Promise<boolean>}
 */
export function confirmed(root, { title, text, action }) {
  return new Promise((answer) => {
    const window = dialog(
      title,
      "question",
      el("p", { dir: "auto" }, text),
      el(
        "form",
        { method: "dialog" },
        el("button", { class: "secondary", value: "" }, words.cancel),
        el("button", { class: "primary bad", value: "yes" }, action),
      ),
    );
    window.addEventListener("close", () => {
      window.remove();
      answer(window.returnValue === "yes");
    });
    root.append(window);
    window.showModal();
  });
}
