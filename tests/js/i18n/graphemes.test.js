import assert from "node:assert/strict";
import { test } from "node:test";

import { cut, firstLetter } from "../../../chat/static/nous_chat/i18n/graphemes.js";

const LETTERS = ["👨‍👩‍👧", "🏳️‍🌈", "🇩🇪", "e\u0301", "क्षि", "กำ", "𝒳", "a"];

test("a text is cut between letters", () => {
  for (const letter of LETTERS) {
    for (let before = 0; before < 12; before += 1) {
      const text = `${"x".repeat(before)} ${letter.repeat(20)}`;
      for (let limit = 12; limit < 40; limit += 1) {
        const part = cut(text, limit);
        assert.ok(part.length <= limit && text.startsWith(part));
        const rest = part.slice(before + 1);
        assert.equal(rest, letter.repeat(rest.length / letter.length), `${letter} at ${limit}`);
      }
    }
  }
  assert.equal(cut("short", 10), "short");
  assert.equal(cut(`e${"\u0301".repeat(50)}`, 10).length, 10);
});

test("initials are whole letters", () => {
  for (const letter of LETTERS) assert.equal(firstLetter(`${letter}bc`), letter);
  assert.equal(firstLetter(""), "");
});
