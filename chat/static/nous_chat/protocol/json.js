// JSON parser that keeps large numbers as written: an id of 16 digits or more among a tool's arguments must not be
// rounded. Browsers without JSON.rawJSON round it. Used by socket.js and approval.js.

const LARGE_NUMBER = /\d{16}/;
/** JSON.rawJSON is newer than the type checker's library. @type {{rawJSON?: (text: string) => object}} */
const { rawJSON } = /** @type {any} */ (JSON);

/** @param {string} text  @returns {any}  @throws {SyntaxError} */
export function parseJson(text) {
  return LARGE_NUMBER.test(text) && rawJSON ? JSON.parse(text, exact) : JSON.parse(text);
}

/** @param {string} _key  @param {unknown} value  @param {{source: string}} [context] */
function exact(_key, value, context) {
  const source = context?.source ?? "";
  return typeof value === "number" && JSON.stringify(value) !== source ? rawJSON?.(source) : value;
}
