// The page's language: translations, and how numbers, dates and currencies are written. The catalogue comes with the
// element's HTML (chat/i18n.py); without one the page is in English. Used by strings.js, and by socket.js, so that the
// server uses the same language.

/**
 * @typedef {object} Catalogue
 * @property {string} language  BCP 47 tag
 * @property {Record<string, string|string[]>} texts  translations by English text; a list of plural forms for counts
 * @property {string} plurals  which plural form a number takes: one digit each for 0, 1, 2 ... 199
 */

/** @type {Catalogue} */
let catalogue;
/** @type {string} */
let locale;
/** @type {Intl.NumberFormat} */
let integers;
/** @type {Intl.NumberFormat} */
let decimals;
/** @type {Intl.PluralRules} */
let ordinals;
/** @type {Intl.DateTimeFormat} */
let times;
/** @type {Intl.DateTimeFormat} */
let dates;
/** @type {Intl.DateTimeFormat} */
let days;
/** @type {Intl.RelativeTimeFormat} */
let relative;

/** @param {Catalogue|null} given null for English */
export function setCatalogue(given) {
  catalogue = given ?? { language: "en", texts: {}, plurals: "" };
  const { language } = catalogue;
  // The user's own variety of the language (British or American, say) decides how times are written.
  const own = (globalThis.navigator?.languages ?? []).find((each) => each.split("-")[0] === language.split("-")[0]);
  locale = own ?? language;
  integers = new Intl.NumberFormat(locale);
  decimals = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  ordinals = new Intl.PluralRules(locale, { type: "ordinal" });
  times = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
  dates = new Intl.DateTimeFormat(locale, {
    day: "numeric",
    month: "long",
    year: "numeric",
    hour: "numeric",
    minute: "2-digit",
  });
  days = new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", year: "numeric" });
  relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
}
setCatalogue(null);

/** BCP 47 tag of the current language. */
export const languageTag = () => catalogue.language;

/**
 * Translates a text and fills in its `{name}` placeholders. makemessages knows the function by this name.
 * @param {string} text  @param {Record<string, string|number>} [values]
 */
export function gettext(text, values = {}) {
  return fill(/** @type {string} */ (catalogue.texts[text]) || text, values);
}

/**
 * Translates a text with a count, which fills in `{count}`.
 * @param {string} one  @param {string} many  @param {number} count  @param {Record<string, string|number>} [values]
 */
export function ngettext(one, many, count, values = {}) {
  const forms = catalogue.texts[one];
  const form = forms?.[Number(catalogue.plurals[count < 200 ? count : 100 + (count % 100)])];
  return fill(form || (count === 1 ? one : many), { ...values, count: integers.format(count) });
}

/** @param {string} text  @param {Record<string, string|number>} values */
const fill = (text, values) =>
  text.replace(/\{(\w+)\}/g, (found, name) => (name in values ? String(values[name]) : found));

/** @param {number} value */
export const integer = (value) => integers.format(value);
/** @param {number} value with one decimal place */
export const decimal = (value) => decimals.format(value);
/** @param {string|number} value  @param {string} currency ISO 4217 code */
export const money = (value, currency) => {
  const amount = /** @type {number} */ (value);
  const maximumFractionDigits = Math.abs(amount) < 0.0001 ? 6 : 4; // costs are stored with six
  return new Intl.NumberFormat(locale, { style: "currency", currency, maximumFractionDigits }).format(amount);
};
/** The ordinal form of a number: "one" (1st), "two" (2nd), "few" (3rd) or "other". @param {number} value */
export const ordinal = (value) => ordinals.select(value);
/** @param {string} iso */
export const timeOf = (iso) => times.format(new Date(iso));
/** Date and time. @param {string} iso */
export const dateOf = (iso) => dates.format(new Date(iso));
/** @param {string} iso */
export const dayOf = (iso) => days.format(new Date(iso));
/** "yesterday", "3 days ago". @param {number} count negative for the past  @param {Intl.RelativeTimeFormatUnit} unit */
export const relativeTime = (count, unit) => relative.format(count, unit);
