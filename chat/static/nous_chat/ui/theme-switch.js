// The choice between light, dark, and the system's theme. It is kept in localStorage, where theme.js finds it before the
// next page is painted; other tabs follow at once. Called by sidebar.js.

import { strings } from "../i18n/strings.js";
import { el, icon } from "./dom.js";

const KEY = "nous-chat:theme";
const ICONS = /** @type {const} */ ({ system: "screen", light: "sun", dark: "moon" });

/** @typedef {keyof typeof ICONS} Theme */

export class ThemeSwitch {
  #inputs;
  #stored = (/** @type {StorageEvent} */ event) => event.key === KEY && this.#show(event.newValue);

  constructor() {
    const input = (/** @type {Theme} */ theme) =>
      el("input", {
        type: "radio",
        name: "theme",
        value: theme,
        "aria-label": strings.themes[theme],
        onchange: () => this.#choose(theme),
      });
    this.#inputs = { system: input("system"), light: input("light"), dark: input("dark") };
    const labels = /** @type {Theme[]} */ (Object.keys(ICONS)).map((theme) =>
      el("label", { title: strings.themes[theme] }, this.#inputs[theme], icon(ICONS[theme])),
    );
    this.element = el("div", { class: "theme-switch", role: "radiogroup", "aria-label": strings.theme }, ...labels);
    this.#check();
  }

  start() {
    addEventListener("storage", this.#stored);
  }

  stop() {
    removeEventListener("storage", this.#stored);
  }

  /** @param {Theme} theme */
  #choose(theme) {
    try {
      if (theme === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // The browser forbids storage: the choice lasts as long as the page.
    }
    this.#show(theme);
  }

  /** @param {string|null} theme */
  #show(theme) {
    const { dataset } = document.documentElement;
    if (theme === "light" || theme === "dark") dataset.theme = theme;
    else delete dataset.theme;
    this.#check();
  }

  #check() {
    const theme = /** @type {Theme} */ (document.documentElement.dataset.theme ?? "system");
    this.#inputs[theme].checked = true;
  }
}
