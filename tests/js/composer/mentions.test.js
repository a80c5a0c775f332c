import assert from "node:assert/strict";
import { test } from "node:test";

import { matching, mentionAt } from "../../../chat/static/nous_chat/composer/mentions.js";

test("a mention starts at the beginning of a word", () => {
  assert.deepEqual(mentionAt("Hey @bo"), { start: 5, query: "bo" });
  assert.deepEqual(mentionAt("@"), { start: 1, query: "" });
  assert.deepEqual(mentionAt("(@Élise"), { start: 2, query: "élise" });
  for (const text of ["", "ada@example.org", "@bob ", "@ bob", "no"]) assert.equal(mentionAt(text), null, text);
});

test("a mention matches the handle or any word of the name", () => {
  const entries = [
    { handle: "assistant", name: "Assistant" },
    { handle: "coder", name: "Code Reviewer" },
    { handle: "Ada Lovelace", name: "Ada Lovelace" },
  ];
  const found = (query) => matching(query, entries).map(({ handle }) => handle);
  assert.deepEqual(found(""), ["assistant", "coder", "Ada Lovelace"]);
  assert.deepEqual(found("a"), ["assistant", "Ada Lovelace"]);
  assert.deepEqual(found("rev"), ["coder"]);
  assert.deepEqual(found("love"), ["Ada Lovelace"]);
  assert.deepEqual(found("x"), []);
});
