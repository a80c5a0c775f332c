import assert from "node:assert/strict";
import { test } from "node:test";

import { cut, endOfPiece, firstLetter, limitMarks, PIECE } from "../../../chat/static/nous_chat/i18n/graphemes.js";

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

test("no letter carries more marks than Unicode's Stream-Safe Text Format allows", () => {
  for (const mark of [
    "\u0301",
    "\u034f",
    "\u200c",
    "\u200d",
    "\ufe0f",
    "\u202e",
    "\u{e0061}",
    "\u{1f3fb}",
    "\u0e31",
    "\u0e33",
  ])
    assert.equal(limitMarks(`a${mark.repeat(1000)}b`), `a${mark.repeat(30)}b`);
  assert.equal(limitMarks(`a${"\u0301\u200d".repeat(50)}`), `a${"\u0301\u200d".repeat(15)}`);
  const written = LETTERS.join("").repeat(50);
  assert.equal(limitMarks(written), written);
});

test("what is left out can be shown in another form", () => {
  assert.equal(
    limitMarks(`a${"\u0301".repeat(32)}`, (marks) => `[${marks.length}]`),
    `a${"\u0301".repeat(30)}[2]`,
  );
});

test("the pieces of a text are the text, and end after a line, a sentence, or a word if they can", () => {
  const piecesOf = (text) => {
    const pieces = [];
    for (let from = 0; from < text.length; from = endOfPiece(text, from))
      pieces.push(text.slice(from, endOfPiece(text, from)));
    return pieces;
  };
  const ends = { "A line.\n": "\n", "A sentence. ": ". ", "word ": " ", w: "w", [LETTERS[0]]: LETTERS[0] };
  for (const [unit, end] of Object.entries(ends)) {
    const text = unit.repeat(20_000 / unit.length);
    const pieces = piecesOf(text);
    assert.equal(pieces.join(""), text);
    assert.ok(pieces.length >= 5);
    for (const piece of pieces.slice(0, -1)) assert.ok(piece.length <= PIECE && piece.endsWith(end), piece.slice(-20));
  }
  assert.deepEqual(piecesOf("short"), ["short"]);
});

test("a piece ends where it ends however much text has arrived", () => {
  const text = "Some words. ".repeat(1000);
  const end = endOfPiece(text, 0);
  for (let length = PIECE + 1; length < text.length; length += 97)
    assert.equal(endOfPiece(text.slice(0, length), 0), end);
});
