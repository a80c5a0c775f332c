// How the dashboard writes numbers and times, in the page's language.

import { fill, language, words } from "./connection.js";

export const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(language, { notation: "compact" });
const decimal = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
export const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
export const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });

/** @param {number|null} value */
export const number = (value) => (value === null ? "" : short.format(value));
/** @param {number} value seconds */
const seconds = (value) => fill(words.seconds, { value: decimal.format(value) });
/** A time, in ms below a second. @param {number|null} value seconds */
export const span = (value) =>
  value === null ? "" : value < 1 ? fill(words.milliseconds, { value: whole.format(value * 1000) }) : seconds(value);
/** @param {number} value seconds since the beginning */
export function age(value) {
  const [minutes, rest] = [Math.floor(value / 60), Math.floor(value % 60)];
  const [hours, left] = [Math.floor(minutes / 60), minutes % 60];
  const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
  return hours ? `${hours}:${two(left)}:${two(rest)}` : `${left}:${two(rest)}`;
}
/** @param {string} id */
export const brief = (id) => id.slice(0, 8);
export const gigabytes = new Intl.NumberFormat(language, { style: "unit", unit: "gigabyte", maximumFractionDigits: 1 });
