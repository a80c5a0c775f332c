import assert from "node:assert/strict";
import { test } from "node:test";

import { partsOf } from "../../../chat/static/nous_chat/documents/proposals.js";
import { ChangeSet, Text } from "../../../chat/static/nous_chat/vendor/codemirror/codemirror.js";

const textOf = (text) => Text.of(text.split("\n"));

/** Accepts some of the parts of a change from one text to another. */
function accept(old, now, which = () => true) {
  const text = textOf(old);
  const parts = partsOf("p", text, textOf(now)).filter((_, index) => which(index));
  return ChangeSet.of(parts, text.length).apply(text).toString();
}

test("accepting all parts makes the proposed text", () => {
  const texts = ["", "a", "\n", "a\n", "a\nb", "a\nb\n", "\na", "a\n\nb\n", "b", "x\na\nb\ny", "a\nx\nb\ny\n", "b\na"];
  for (const old of texts) for (const now of texts) assert.equal(accept(old, now), now, JSON.stringify([old, now]));
});

test("a part that is not accepted changes nothing", () => {
  const [old, now] = ["one\ntwo\nthree\nfour\nfive\n", "ONE\ntwo\nthree\nfour\nFIVE\n"];
  assert.equal(
    accept(old, now, (index) => index === 0),
    "ONE\ntwo\nthree\nfour\nfive\n",
  );
  assert.equal(
    accept(old, now, (index) => index === 1),
    "one\ntwo\nthree\nfour\nFIVE\n",
  );
  assert.equal(
    accept(old, now, () => false),
    old,
  );
});
