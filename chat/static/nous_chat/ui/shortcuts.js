// The keys that can be used, in a window of their own. Called by nous-chat.js.

import { words } from "../i18n/strings.js";
import { dialog } from "./dialog.js";
import { el } from "./dom.js";

export class Keys {
  constructor() {
    const rows = words.keys.map(([keys, what]) =>
      el("div", {}, el("dt", {}, ...keys.map((key) => el("kbd", {}, key))), el("dd", {}, what)),
    );
    this.element = dialog(words.keysTitle, "keys", el("dl", {}, ...rows));
  }

  show() {
    if (!this.element.open) this.element.showModal();
  }
}
