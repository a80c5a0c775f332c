// JSON whose large numbers stay as they are written: a number of 16 digits and more would be rounded, and an id among a
// tool's arguments would be another one. A browser that cannot do it rounds. Used by socket.js and approval.js.

const LARGE = /\d{16}/;

/** @param {string} text  @throws {SyntaxError} */
export function parse(text) {
  return LARGE.test(text) && JSON.rawJSON ? JSON.parse(text, exact) : JSON.parse(text);
}

function exact(_key, value, { source }) {
  return typeof value === "number" && JSON.stringify(value) !== source ? JSON.rawJSON(source) : value;
}
