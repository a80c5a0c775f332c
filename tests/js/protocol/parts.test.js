import assert from "node:assert/strict";
import { test } from "node:test";

import { addPart, lengthOf, sectionsOf } from "../../../chat/static/nous_chat/protocol/parts.js";
import { answer, call, message } from "../wire.js";

const text = (length) => ({ type: "text", length });
const thinking = (length) => ({ type: "thinking", length });
const called = (id) => ({ type: "call", call: id });
const grown = (parts, continues) => parts.reduce((before, part) => addPart(before, part, continues), []);

test("adjacent lengths of one kind are one part", () => {
  assert.deepEqual(grown([thinking(2), thinking(3), text(1), text(1), called("x"), called("y"), text(4)]), [
    thinking(5),
    text(2),
    called("x"),
    called("y"),
    text(4),
  ]);
});

test("thinking does not divide a text that was cut off", () => {
  assert.deepEqual(grown([text(3), thinking(2), thinking(1), text(4)], true), [thinking(3), text(7)]);
  const afterACall = [text(3), called("x"), thinking(2), text(4)];
  assert.deepEqual(grown(afterACall, true), afterACall);
});

test("lengths are in code points, so no part begins in the middle of an emoji", () => {
  const before = "Let me look 🔭🧭 ";
  const parts = [text(lengthOf(before)), called("x"), text(5)];
  const sections = sectionsOf(answer(2, "r", { text: `${before}Found`, parts, calls: [call("x", "done")] }));
  assert.equal(lengthOf(before), 15);
  assert.deepEqual(
    sections.map((section) => section.text ?? section.call.id),
    [before, "x", "Found"],
  );
});

test("sections keep their keys while an answer grows, and the last one holds what is left", () => {
  const short = answer(2, "r", { text: "One", thinking: "Hm", parts: [thinking(2), text(3)] });
  const long = {
    ...short,
    text: "OneTwo and more",
    calls: [call("x")],
    parts: [thinking(2), text(3), called("x"), called("unknown"), text(3)],
  };
  assert.deepEqual(
    sectionsOf(short).map(({ key }) => key),
    ["thinking 0", "text 0"],
  );
  assert.deepEqual(
    sectionsOf(long).map(({ key, text }) => [key, text]),
    [
      ["thinking 0", "Hm"],
      ["text 0", "One"],
      ["x", undefined],
      ["text 1", "Two and more"],
    ],
  );
});

test("without parts, thinking and calls come before the text", () => {
  const old = answer(2, "r", { text: "Text", thinking: "Hm", calls: [call("x")] });
  assert.deepEqual(
    sectionsOf(old).map(({ key, text }) => [key, text]),
    [
      ["thinking 0", "Hm"],
      ["x", undefined],
      ["text 0", "Text"],
    ],
  );
});

test("a user's message is one text", () => {
  assert.deepEqual(sectionsOf(message(1)), [{ key: "text 0", type: "text", text: "text 1" }]);
});
