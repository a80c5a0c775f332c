// Bare URLs in text. markdown-it's linkify finds them; where they end is decided here, because a letter of another script
// right behind one would become part of its host. It has no DOM. Used by inline.js and, for people's messages, by text.js.

import MarkdownIt from "../vendor/markdown-it/markdown-it.js";

export const parser = new MarkdownIt("default", { html: false, linkify: true, maxNesting: 20 });

const { linkify } = parser;
const LETTER = /[\p{L}\p{N}]/u;
const LATIN = /[\p{Script=Latin}\p{N}]/u;
const ASCII = /[!-~]/;

linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
const schemaAt = linkify.testSchemaAt.bind(linkify);
linkify.testSchemaAt = (text, schema, from) => schemaAt(text.slice(0, endOfUrl(text, from)), schema, from);

/**
 * Where a URL ends at the latest: before a letter of another script that directly follows a Latin letter or a digit, and
 * before punctuation of another script. `/wiki/日本語` is whole, `example.org了解` is not.
 * @param {string} text  @param {number} from
 */
function endOfUrl(text, from) {
  let latin = false;
  let at = from;
  for (const character of text.slice(from, from + 2000)) {
    const letter = LETTER.test(character) || /\p{M}/u.test(character);
    const other = letter && !LATIN.test(character) && !/\p{M}/u.test(character);
    if ((other && latin) || (!letter && !ASCII.test(character))) break;
    latin = letter && !other;
    at += character.length;
  }
  return at;
}

/** The bare URLs in a text. @param {string} text  @returns {{start: number, end: number, url: string}[]} */
export function findLinks(text) {
  const found = [];
  let end = 0;
  for (const { index } of text.matchAll(/https?:\/\//gi)) {
    if (index < end) continue;
    const match = linkify.matchAtStart(text.slice(index, index + 4000));
    if (!match) continue;
    end = index + match.lastIndex;
    found.push({ start: index, end, url: match.url });
  }
  return found;
}
