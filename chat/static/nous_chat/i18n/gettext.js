// The language the page speaks: the texts that Django's gettext has for it, and how it writes numbers and times. The
// catalogue comes with the element's HTML (chat/words.py); without one it is English. Used by words.js, and by socket.js,
// for the server is to speak the same.

let catalogue, numbers, decimals, locale, ordinals, clock, calendar, days, relative;

/**
 * @typedef {object} Catalogue
 * @property {string} language  a BCP 47 tag
 * @property {Object<string, string|string[]>} texts  by the English text; a list of plural forms for what counts
 * @property {string} plurals  which form a number takes: one digit each for 0, 1, 2 ... 199
 */

/** @param {Catalogue|null} given */
export function use(given) {
  catalogue = given ?? { language: "en", texts: {}, plurals: "" };
  const { language } = catalogue;
  // The reader's own variety of it (British or American, say), which decides how times are written.
  const own = (globalThis.navigator?.languages ?? []).find((each) => each.split("-")[0] === language.split("-")[0]);
  locale = own ?? language;
  numbers = new Intl.NumberFormat(locale);
  decimals = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  ordinals = new Intl.PluralRules(locale, { type: "ordinal" });
  clock = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
  calendar = new Intl.DateTimeFormat(locale, {
    day: "numeric",
    month: "long",
    year: "numeric",
    hour: "numeric",
    minute: "2-digit",
  });
  days = new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", year: "numeric" });
  relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
}
use(null);

/** A BCP 47 tag. */
export const tag = () => catalogue.language;

/** A text in the reader's language, with the values in the place of `{name}`. Named so that makemessages finds it. */
export function gettext(text, values = {}) {
  return fill(catalogue.texts[text] || text, values);
}

/** A text that counts: `{count}` is written as numbers are. */
export function ngettext(one, many, count, values = {}) {
  const forms = catalogue.texts[one];
  const form = forms?.[Number(catalogue.plurals[count < 200 ? count : 100 + (count % 100)])];
  return fill(form || (count === 1 ? one : many), { ...values, count: numbers.format(count) });
}

const fill = (text, values) =>
  text.replace(/\{(\w+)\}/g, (found, name) => (name in values ? String(values[name]) : found));

export const integer = (value) => numbers.format(value);
export const decimal = (value) => decimals.format(value);
/** @param {string|number} value  @param {string} currency an ISO 4217 code */
export const money = (value, currency) =>
  new Intl.NumberFormat(locale, { style: "currency", currency, maximumFractionDigits: 4 }).format(value);
/** Which ordinal form a number takes: "one" (1st), "two" (2nd), "few" (3rd) or "other". */
export const ordinal = (value) => ordinals.select(value);
export const timeOf = (iso) => clock.format(new Date(iso));
export const dateOf = (iso) => calendar.format(new Date(iso));
export const dayOf = (iso) => days.format(new Date(iso));
/** "yesterday", "3 days ago". @param {number} count negative for the past  @param {string} unit */
export const ago = (count, unit) => relative.format(count, unit);
