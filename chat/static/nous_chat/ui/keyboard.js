// Rules for keys that hold in all fields, and the dialog that lists the keyboard shortcuts. Used by nous-chat.js,
// composer.js and editor.js.

import { strings } from "../i18n/strings.js";
import { dialog } from "./dialog.js";
import { el } from "./dom.js";

/**
 * A listener for `keydown` in the capturing phase: keys that belong to an input method reach no other listener, and the
 * browser neither submits a form nor closes a dialog for them. Safari and some keyboards end a composition before its last
 * key, which then has only the key code.
 * @param {KeyboardEvent} event
 */
export function leaveToInputMethod(event) {
  if (!event.isComposing && event.keyCode !== 229) return;
  event.stopPropagation();
  if (event.key === "Enter" || event.key === "Escape") event.preventDefault();
}

/** True on phones and tablets: their keyboards have no Shift+Enter, and come up whenever a field gets the focus. */
export const isTouch = () => matchMedia("(pointer: coarse)").matches;

/** True if a key sends the text of a field with several lines. @param {KeyboardEvent} event */
export const sendsText = ({ key, shiftKey, ctrlKey, metaKey }) =>
  key === "Enter" && !shiftKey && (ctrlKey || metaKey || !isTouch());

export class Shortcuts {
  constructor() {
    const rows = strings.shortcuts.map(([keys, action]) =>
      el("div", {}, el("dt", {}, ...keys.map((key) => el("kbd", { translate: "no" }, key))), el("dd", {}, action)),
    );
    this.element = dialog(strings.shortcutsTitle, "shortcuts", el("dl", {}, ...rows));
  }

  show() {
    if (!this.element.open) this.element.showModal();
  }
}
