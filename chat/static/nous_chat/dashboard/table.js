// The rows of a table that changes every second: each row is created once and then updated, so that the focus and what
// is selected stay where they are.

/**
 * @template T
 * @typedef {object} Column
 * @property {(item: T) => string} text
 * @property {boolean} [number]
 * @property {(item: T) => string} [mark]    the cell's `data-mark`
 * @property {(item: T, cell: HTMLElement) => void} [show]  instead of writing the text
 */

/** @template T */
export class Table {
  #body;
  #empty;
  #key;
  #columns;
  /** @type {Map<string, HTMLTableRowElement>} */
  #rows = new Map();

  /** @param {string} name  @param {(item: T) => string} key  @param {Column<T>[]} columns the first one is the heading */
  constructor(name, key, columns) {
    const table = /** @type {HTMLTableElement} */ (document.querySelector(`[data-table="${name}"]`));
    this.#body = table.tBodies[0];
    this.#empty = /** @type {HTMLElement|null} */ (document.querySelector(`[data-empty="${name}"]`));
    this.#key = key;
    this.#columns = columns;
  }

  /** @param {T[]} items in their order */
  update(items) {
    const keys = new Set(items.map(this.#key));
    for (const [key, row] of this.#rows)
      if (!keys.has(key)) {
        row.remove();
        this.#rows.delete(key);
      }
    items.forEach((item, place) => {
      const key = this.#key(item);
      const row = this.#rows.get(key) ?? this.#create();
      this.#rows.set(key, row);
      if (this.#body.children[place] !== row) this.#body.insertBefore(row, this.#body.children[place] ?? null);
      for (const [number, column] of this.#columns.entries())
        this.#fill(column, /** @type {HTMLElement} */ (row.children[number]), item);
    });
    if (this.#empty) this.#empty.hidden = items.length > 0;
  }

  #create() {
    const row = document.createElement("tr");
    this.#columns.forEach(({ number }, place) => {
      const cell = document.createElement(place ? "td" : "th");
      if (!place) cell.setAttribute("scope", "row");
      if (number) cell.className = "number";
      row.append(cell);
    });
    return row;
  }

  /** @param {Column<T>} column  @param {HTMLElement} cell  @param {T} item */
  #fill({ text, mark, show }, cell, item) {
    if (mark) cell.dataset.mark = mark(item);
    if (show) show(item, cell);
    else if (cell.textContent !== text(item)) cell.textContent = text(item);
  }
}
