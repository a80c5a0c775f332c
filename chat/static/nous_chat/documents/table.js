// A CSV document as a table that sorts. Cells are plain text. Used by preview.js.

import { limitMarks } from "../i18n/graphemes.js";
import { el, textButton } from "../ui/dom.js";
import { parseCsv } from "./csv.js";
import { documentStrings as texts } from "./strings.js";

const ROWS = 200; // shown at first, and added at a time
const LONGEST_CELL = 2000; // characters
const MOST_COLUMNS = 200;

export class Table {
  /** @type {string[][]} without the header */
  #rows = [];
  /** @type {string[]} */
  #header = [];
  /** @type {{column: number, descending: boolean}|null} */
  #order = null;
  #shown = ROWS;
  #body = el("tbody");
  #more = textButton("", () => this.#showMore(), { class: "text-button more-rows" });

  constructor() {
    this.element = el("div", { class: "markdown csv" });
  }

  /** @param {string} text */
  show(text) {
    const [header = [], ...rows] = parseCsv(text);
    const sameHeader = header.length === this.#header.length && header.every((name, i) => name === this.#header[i]);
    this.#rows = rows;
    if (!sameHeader || !this.element.firstChild) this.#build(header);
    this.#fill();
  }

  /** @param {string[]} header */
  #build(header) {
    const focused = this.element.matches(":focus-within");
    this.#header = header;
    if (this.#order && this.#order.column >= header.length) this.#order = null;
    if (header.length === 0) return this.element.replaceChildren(el("p", { class: "blank" }, texts.empty));
    const names = header.slice(0, MOST_COLUMNS).map((name, column) => name.trim() || texts.column(column + 1));
    const cells = names.map((name, column) =>
      el(
        "th",
        { scope: "col" },
        el(
          "button",
          { type: "button", title: texts.sortBy(name), onclick: () => this.#sort(column) },
          el("span", { dir: "auto" }, plain(name)),
        ),
      ),
    );
    this.element.replaceChildren(
      el(
        "div",
        { class: "table", role: "region", "aria-label": texts.table, tabindex: "0" },
        el("table", {}, el("thead", {}, el("tr", {}, ...cells)), this.#body),
      ),
      this.#more,
    );
    if (focused) this.element.querySelector("button")?.focus();
    this.#markOrder();
  }

  /** Ascending, descending, as in the file. @param {number} column */
  #sort(column) {
    const { column: before, descending } = this.#order ?? {};
    if (before !== column) this.#order = { column, descending: false };
    else this.#order = descending ? null : { column, descending: true };
    this.#markOrder();
    this.#fill();
  }

  #markOrder() {
    for (const [column, cell] of [...this.element.querySelectorAll("th")].entries()) {
      const sorted = this.#order?.column === column;
      if (sorted) cell.setAttribute("aria-sort", this.#order?.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
  }

  #showMore() {
    this.#shown += ROWS * 5;
    this.#fill();
  }

  #fill() {
    const columns = Math.min(this.#header.length, MOST_COLUMNS);
    const rows = this.#order ? sorted(this.#rows, this.#order) : this.#rows;
    this.#body.replaceChildren(
      ...rows
        .slice(0, this.#shown)
        .map((row) => el("tr", {}, ...Array.from({ length: columns }, (_, column) => cellOf(row[column] ?? "")))),
    );
    const rest = rows.length - this.#shown;
    this.#more.hidden = rest <= 0;
    if (rest > 0) this.#more.textContent = texts.moreRows(Math.min(rest, ROWS * 5));
  }
}

/** @param {string} text */
const plain = (text) => limitMarks(text.slice(0, LONGEST_CELL));

/** @param {string} text */
const cellOf = (text) => el("td", { "data-align": numberOf(text) === null ? null : "right", dir: "auto" }, plain(text));

/** A number as people write it in tables, also with a thousands separator, a currency or a percent sign. @param {string} text */
function numberOf(text) {
  const plainText = text.trim().replace(/^[$€£]\s?|\s?[%€$£]$/g, "");
  if (!/^[-+]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?(e[-+]?\d+)?$/i.test(plainText)) return null;
  return Number(plainText.replaceAll(",", ""));
}

/** Numbers before words; empty cells last, either way. @param {string[][]} rows  @param {{column: number, descending: boolean}} order */
function sorted(rows, { column, descending }) {
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  const keyed = rows.map((row) => ({ row, text: row[column]?.trim() ?? "", number: numberOf(row[column] ?? "") }));
  keyed.sort((a, b) => {
    if (a.text === "" || b.text === "") return Number(a.text === "") - Number(b.text === "");
    const order =
      a.number !== null && b.number !== null
        ? a.number - b.number
        : Number(a.number === null) - Number(b.number === null) || compare(a.text, b.text);
    return descending ? -order : order;
  });
  return keyed.map(({ row }) => row);
}
