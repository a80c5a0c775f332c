// Marks the words of a search in the message that was found, without changing its nodes. Used by message-list.js.

const NAME = "nous-chat-found"; // as in nous-chat.css

/**
 * @param {Element} element
 * @param {string[]} words as they stand in the text
 * @returns {Range|null} the first of them
 */
export function markWords(element, words) {
  const ranges = words.length ? [...rangesOf(element, new Set(words.map((word) => word.toLowerCase())))] : [];
  if ("highlights" in CSS) CSS.highlights.set(NAME, new Highlight(...ranges));
  return ranges[0] ?? null;
}

/** @param {Element} element  @param {Set<string>} words */
function* rangesOf(element, words) {
  for (const part of element.querySelectorAll('[data-part="text"]')) {
    const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = /** @type {Text} */ (walker.currentNode);
      const text = node.data.toLowerCase();
      for (const word of words) {
        for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
          const range = new Range();
          range.setStart(node, at);
          range.setEnd(node, Math.min(node.length, at + word.length));
          yield range;
        }
      }
    }
  }
}
