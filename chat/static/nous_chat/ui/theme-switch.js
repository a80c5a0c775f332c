// The choice between light, dark, and what the system says. Kept in localStorage, where theme.js finds it before the next
// page is painted, and other tabs follow at once. Called by sidebar.js.

import { words } from "../i18n/strings.js";
import { el, icon } from "./dom.js";

const KEY = "nous-chat:theme";
const ICONS = { system: "screen", light: "sun", dark: "moon" };

export class Appearance {
  #choices = {};
  #heard = (event) => event.key === KEY && this.#show(event.newValue);

  constructor() {
    const choice = (theme) => {
      const input = (this.#choices[theme] = el("input", {
        type: "radio",
        name: "theme",
        value: theme,
        "aria-label": words.themes[theme],
        onchange: () => this.#choose(theme),
      }));
      return el("label", { title: words.themes[theme] }, input, icon(ICONS[theme]));
    };
    this.element = el(
      "div",
      { class: "appearance", role: "radiogroup", "aria-label": words.theme },
      ...Object.keys(ICONS).map(choice),
    );
    this.#choices[document.documentElement.dataset.theme ?? "system"].checked = true;
  }

  start() {
    addEventListener("storage", this.#heard);
  }

  stop() {
    removeEventListener("storage", this.#heard);
  }

  #choose(theme) {
    try {
      if (theme === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // It lasts as long as the page.
    }
    this.#show(theme);
  }

  #show(theme) {
    const { dataset } = document.documentElement;
    if (theme === "light" || theme === "dark") dataset.theme = theme;
    else delete dataset.theme;
    this.#choices[dataset.theme ?? "system"].checked = true;
  }
}
