// Where a text may be cut: between grapheme clusters, so that no emoji, flag or accented letter breaks; and how much of it
// is shown in one stretch (as in chat/graphemes.py). Used by the views that show only the beginning of a text, or long ones.

/** Characters that a browser lays out together: with their number the time grows by its square in some scripts. */
export const PIECE = 4000;

/** What a letter can be followed by without an end: marks, also the two vowels of Thai and Lao that count as letters. */
const MARK = "[\\p{M}\\p{Cf}\\p{DI}\\p{EMod}\\u0e33\\u0eb3]";
const MARKS = new RegExp(`(${MARK}{30})${MARK}+`, "gu");

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * A text as it is shown: with at most 30 combining marks, joiners, or direction controls in a row, the number that
 * Unicode's Stream-Safe Text Format allows (UAX #15, section 13). Browsers take the square of their number to lay them out.
 * @param {string} text  @param {(marks: string) => string} [escaped] what stands in the place of the others
 */
export const limitMarks = (text, escaped = () => "") =>
  text.replace(MARKS, (all, kept) => kept + escaped(all.slice(kept.length)));

/**
 * Where the piece of a long text that begins at `from` ends: after a line, a sentence or a word in its second half. Depends
 * only on the text before the end, so it does not matter how much has arrived.
 * @param {string} text  @param {number} from
 */
export function endOfPiece(text, from) {
  if (text.length - from <= PIECE) return text.length;
  const half = text.slice(from + PIECE / 2, from + PIECE);
  const after = (/** @type {string} */ mark) => (half.includes(mark) ? half.lastIndexOf(mark) + mark.length : 0);
  const end = after("\n") || after(". ") || after(" ");
  return from + PIECE / 2 + (end || cut(half, half.length - 1).length); // its last letter may go on behind it
}

/** The longest beginning of a text of at most `limit` UTF-16 units that ends between clusters. @param {string} text  @param {number} limit */
export function cut(text, limit) {
  if (text.length <= limit) return text;
  // A space begins a cluster, so that only the last word needs to be looked at.
  const start = Math.max(0, text.lastIndexOf(" ", limit - 1));
  let end = start;
  for (const { index, segment } of segmenter.segment(text.slice(start, limit + 100))) {
    if (start + index + segment.length > limit) break;
    end = start + index + segment.length;
  }
  return text.slice(0, end || limit);
}

/** The first letter of a text. @param {string} text */
export const firstLetter = (text) => segmenter.segment(text)[Symbol.iterator]().next().value?.segment ?? "";
