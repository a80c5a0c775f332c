// The dialog that lists the keyboard shortcuts. Called by nous-chat.js.

import { strings } from "../i18n/strings.js";
import { dialog } from "./dialog.js";
import { el } from "./dom.js";

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
