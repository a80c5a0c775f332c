// Who wrote which line of a document. Used by history.js.

import { limitMarks } from "../i18n/graphemes.js";
import { strings } from "../i18n/strings.js";
import { el, textButton } from "../ui/dom.js";
import { documentStrings as texts } from "./strings.js";

const ROWS = 200; // shown at first, and added at a time

export class Authors {
  #lines;
  #written;
  #body = el("tbody");
  #shown = 0;

  /**
   * @param {string} text
   * @param {{version: number, since: number, lines: import("../protocol/types.d.ts").WrittenLines[]}} blame  what was changed
   *   until `since` was not looked at
   */
  constructor(text, { version, since, lines: written }) {
    this.#lines = text.split("\n");
    this.#written = written;
    this.element = el("div", {
      class: "authors",
      tabindex: "0",
      role: "region",
      "aria-label": texts.comparisons.authors,
    });
    const head = [texts.author, texts.lines].map((name) => el("th", { scope: "col" }, name));
    if (since > 0) this.element.append(el("p", {}, texts.onlyNewest(version - since)));
    this.element.append(el("table", {}, el("thead", {}, el("tr", {}, ...head)), this.#body));
    this.#more();
  }

  #more() {
    for (const each of this.#written.slice(this.#shown, this.#shown + ROWS)) this.#body.append(this.#row(each));
    this.#shown += ROWS;
    this.element.querySelector(":scope > button")?.remove();
    const rest = Math.min(ROWS, this.#written.length - this.#shown);
    if (rest > 0) this.element.append(textButton(texts.moreRows(rest), () => this.#more()));
  }

  /** @param {import("../protocol/types.d.ts").WrittenLines} written */
  #row({ first, count, author, agent, created_at }) {
    const lines = this.#lines.slice(first - 1, first - 1 + count).join("\n");
    const name = author?.name ?? agent?.name ?? (created_at ? strings.somebody : texts.longAgo);
    return el(
      "tr",
      {},
      el(
        "th",
        { scope: "row" },
        el("span", { dir: "auto" }, name),
        created_at && el("small", {}, texts.date(created_at)),
      ),
      el("td", {}, el("pre", { dir: "auto", translate: "no" }, limitMarks(lines) || " ")),
    );
  }

  stop() {}

  start() {}
}
