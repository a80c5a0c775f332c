// Reads comma-separated values (RFC 4180), in linear time, and also while they are being written. Used by table.js.

const SEPARATORS = [",", ";", "\t"];

/** @param {string} text  @returns {string[][]} rows of cells */
export function parseCsv(text) {
  const separator = separatorOf(text);
  /** @type {string[][]} */
  const rows = [];
  /** @type {string[]} */
  let row = [];
  let at = 0;
  while (at < text.length) {
    const [start, from] = text[at] === '"' ? quoted(text, at) : ["", at];
    const [rest, end] = unquoted(text, from, separator);
    row.push(start + rest);
    at = end;
    if (text[at] === separator) {
      at += 1;
      if (at === text.length) row.push("");
      continue;
    }
    if (text[at] === "\r") at += 1;
    at += 1;
    rows.push(row);
    row = [];
  }
  if (row.length) rows.push(row);
  return rows.filter((cells) => cells.length > 1 || cells[0].trim() !== "");
}

/** The separator that the first line has most of. @param {string} text */
function separatorOf(text) {
  const [first] = text.split("\n", 1);
  const counts = SEPARATORS.map((separator) => first.split(separator).length);
  return SEPARATORS[counts.indexOf(Math.max(...counts))];
}

/** @param {string} text  @param {number} start of the quotation mark  @returns {[cell: string, end: number]} */
function quoted(text, start) {
  let cell = "";
  for (let from = start + 1; ; ) {
    const end = text.indexOf('"', from);
    if (end < 0) return [cell + text.slice(from), text.length]; // still being written
    cell += text.slice(from, end);
    if (text[end + 1] !== '"') return [cell, end + 1];
    cell += '"';
    from = end + 2;
  }
}

/** @param {string} text  @param {number} start  @param {string} separator  @returns {[cell: string, end: number]} */
function unquoted(text, start, separator) {
  let end = start;
  while (end < text.length && text[end] !== separator && text[end] !== "\n" && text[end] !== "\r") end += 1;
  return [text.slice(start, end), end];
}
