// Where a text may be cut: between grapheme clusters, so that no emoji, flag or accented letter breaks (as in
// chat/graphemes.py). Used where a view shows only the beginning of a text.

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

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
