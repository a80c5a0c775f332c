// Prints random changes as CodeMirror itself applies and maps them: one JSON object a line, the same for each seed.
// Usage: node changesets.js SEED COUNT

import { ChangeSet, Text } from "@codemirror/state";

const [seed, count] = process.argv.slice(2).map(Number);
let state = seed;

/** A number from 0 up to, but not including, `below` (mulberry32). */
function random(below) {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
}

const PIECES = ["a", "b", " ", "\n", "word", "é", "日本", "😀", "👨‍👩‍👧", "e\u0301", "\u2028", "\t", "\ufeff"];

function text(most) {
  let made = "";
  for (let left = random(most + 1); left > 0; left--) made += PIECES[random(PIECES.length)];
  return made;
}

/** A position that is not within a surrogate pair. */
function position(document) {
  const at = random(document.length + 1);
  const code = document.charCodeAt(at);
  return code >= 0xdc00 && code < 0xe000 ? at + 1 : at;
}

function changes(document) {
  const specs = [];
  for (let left = random(5); left > 0; left--) {
    const from = position(document);
    const to = random(2) ? from : Math.max(from, position(document));
    specs.push({ from, to, insert: Text.of(text(random(2) ? 0 : 6).split("\n")) });
  }
  return ChangeSet.of(specs, document.length, "\n");
}

const apply = (document, set) => set.apply(Text.of(document.split("\n"))).toString();

for (let left = count; left > 0; left--) {
  const document = text(40);
  const [a, b] = [changes(document), changes(document)];
  const both = a.compose(changes(apply(document, a)));
  console.log(
    JSON.stringify({
      document,
      a: both,
      b,
      applied: apply(document, both),
      after: both.map(b),
      before: both.map(b, true),
      merged: apply(apply(document, b), both.map(b)),
    }),
  );
}
