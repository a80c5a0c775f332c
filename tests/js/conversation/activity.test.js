import assert from "node:assert/strict";
import { test } from "node:test";

import { activityOf } from "../../../chat/static/nous_chat/conversation/activity.js";
import { answer, call } from "../wire.js";

const does = (fields = {}, run = {}, silence = 0, wait = 0) => activityOf(answer(2, "r", fields, run), silence, wait);

test("the activity follows the stages of an answer", () => {
  assert.equal(does({}, { status: "queued", place: 3 }), "Assistant is queued, 3rd in line");
  assert.equal(does({}, { status: "queued" }), "Assistant is about to answer");
  assert.equal(does(), "Assistant is about to answer");
  const [thinking, text, called] = [
    { type: "thinking", length: 2 },
    { type: "text", length: 4 },
    { type: "call", call: "a" },
  ];
  assert.equal(does({ parts: [thinking] }), "Assistant is thinking");
  assert.equal(
    does({ parts: [thinking], calls: [call("a", "done"), call("b", "running", { name: "search_orders" })] }),
    "Assistant is using search_orders",
  );
  assert.equal(
    does({ calls: [call("c", "running", { name: "edit_document" })] }),
    "Assistant is writing",
    "a proposal",
  );
  assert.equal(does({ parts: [thinking, text] }), "Assistant is writing");
  const calls = [call("a", "done")];
  assert.equal(does({ parts: [thinking, text, called], calls }), "Assistant is about to answer", "the model goes on");
  assert.equal(does({ parts: [thinking, text, called, thinking], calls }), "Assistant is thinking", "once more");
  assert.equal(does({}, { status: "awaiting_approval" }), "Assistant is waiting for approval");
});

test("a silent model is reported", () => {
  assert.equal(does({}, {}, 7999), "Assistant is about to answer");
  assert.equal(does({}, {}, 12_400), "Assistant: no response from the model for 12 seconds");
  assert.equal(does({ text: "Well" }, {}, 9000), "Assistant: no response from the model for 9 seconds");
  assert.equal(does({ calls: [call("b")] }, {}, 60_000), "Assistant is using send_email", "a tool takes its time");
});

test("a wait for a busy model is counted down", () => {
  assert.equal(
    does({}, {}, 9000, 11_001),
    "Assistant: the model is busy and is asked again in 12 seconds",
    "instead of its silence",
  );
  assert.equal(does({}, {}, 9000, 0), "Assistant: no response from the model for 9 seconds");
});

test("another model answers until it thinks or writes", () => {
  const fellBack = (fields = {}) => activityOf(answer(2, "r", fields), 0, 0, false, true);
  assert.equal(fellBack(), "Assistant: its usual model does not answer, so another one does");
  assert.equal(fellBack({ text: "a", parts: [{ type: "text", length: 1 }] }), "Assistant is writing");
});

test("places in line are written as ordinals", () => {
  const place = (number) => does({}, { status: "queued", place: number }).split(", ")[1];
  assert.deepEqual([1, 2, 3, 4, 11, 12, 13, 21, 22].map(place), [
    "1st in line",
    "2nd in line",
    "3rd in line",
    "4th in line",
    "11th in line",
    "12th in line",
    "13th in line",
    "21st in line",
    "22nd in line",
  ]);
});

test("an agent that writes in a document is neither silent nor using a tool", () => {
  for (const calls of [[], [call("a", "running", { name: "create_document" })]])
    assert.equal(activityOf(answer(2, "r", { calls }), 20_000, 0, true), "Assistant is writing");
});
