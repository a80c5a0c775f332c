import assert from "node:assert/strict";
import { test } from "node:test";
import { apply, emptyState } from "../../../chat/static/nous_chat/protocol/reducer.js";
import { Announcer, plainText } from "../../../chat/static/nous_chat/ui/announcer.js";
import { answer, delta, finished, message, snapshot, started, state } from "../wire.js";

/** A page with an announcer; `heard()` returns what was announced since the last call. */
function listening(...events) {
  const page = emptyState();
  const spoken = [];
  const region = { append: ({ textContent }) => spoken.push(textContent), childElementCount: 1 };
  globalThis.document = { createElement: () => ({}) };
  const announcer = new Announcer(region, page);
  for (const event of [snapshot([message(1)]), ...events]) apply(page, event);
  const heard = () => {
    announcer.tick();
    return spoken.splice(0);
  };
  return { page, announcer, heard };
}

test("an answer is announced sentence by sentence", () => {
  const row = answer(2, "r");
  const { page, announcer, heard } = listening(started(row));
  announcer.started("r", "Assistant is answering.");
  apply(page, delta("r", 1, "Version 1.5 is out"));
  assert.deepEqual(heard(), ["Assistant is answering."]);
  apply(page, delta("r", 2, ". It is good! And"));
  assert.deepEqual(heard(), ["Version 1.5 is out. It is good!"]);
  assert.deepEqual(heard(), []);
  apply(page, state(answer(2, "r", { text: "Version 1.5 is out. It is good! And free.\nTry" }), 9));
  assert.deepEqual(heard(), ["And free."]);
  const end = finished(answer(2, "r", { text: "Version 1.5 is out. It is good! And free.\nTry it" }));
  for (const repeated of [end, end]) {
    apply(page, repeated);
    announcer.finished(repeated.message, "Answer complete.");
  }
  assert.deepEqual(heard(), ["Try it Answer complete."]);
});

test("earlier text is not announced", () => {
  const half = answer(2, "r", { text: "Long ago. Very long" }, { seq: 4 });
  const { page, heard } = listening(snapshot([message(1), half], { runs: [half.run] }));
  assert.deepEqual(heard(), []);
  apply(page, delta("r", 5, " ago. Now."));
  assert.deepEqual(heard(), ["ago."]);
});

test("Markdown is announced without its marks", () => {
  assert.equal(
    plainText("## A *title*\n\n- **one**, `snake_case` and [a link](https://a.org/b)\n> quoted"),
    "A title\n\none, snake_case and a link\nquoted",
  );
  assert.equal(plainText("| a | b |\n|---|--:|\n| 1 | 2 |").replace(/\s+/g, " ").trim(), "a b 1 2");
  assert.equal(plainText("```py\nx = 1\n```").trim(), "x = 1");
  assert.equal(plainText("It costs $5, 2 < 3, 1.5."), "It costs $5, 2 < 3, 1.5.");
});

test("a long text is announced in pieces, and nothing of it is left out", () => {
  const { announcer, heard } = listening();
  const text = "Some words. ".repeat(2000).trim();
  announcer.say(text);
  const pieces = [];
  for (let next = heard(); next.length; next = heard()) pieces.push(...next);
  assert.ok(pieces.length > 5 && pieces.every((piece) => piece.length <= 4000));
  assert.equal(pieces.join(""), text);
});

test("taking the marks out of a text takes as long as the text is long", () => {
  const time = (text) => {
    const begin = process.cpuUsage().user;
    plainText(text);
    return process.cpuUsage().user - begin;
  };
  for (const unit of ["[", "[a](", "![", "_", " ", "\t", "|", " | ", "*", "a_", "> ", "- "]) {
    const text = (/** @type {number} */ length) => `a${unit.repeat(length / unit.length)}a`;
    time(text(100));
    assert.ok(time(text(200_000)) < 500_000, `${JSON.stringify(unit)}: over 0.5 s of CPU`);
  }
});
