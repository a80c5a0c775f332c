import assert from "node:assert/strict";
import { test } from "node:test";

import { LogBuffer, MAX_LINES } from "../../../chat/static/nous_chat/dashboard/log-buffer.js";

const everything = { level: "DEBUG", logger: "", conversation: "", run: "", user: "", text: "" };
let second = 0;
const line = (number, more = {}) => {
  const time = new Date(1_800_000_000_000 + 1000 * second++).toISOString();
  return { number, time, level: "INFO", logger: "nous_chat.runs", message: `line ${number}`, process: "p", ...more };
};
const frame = (lines, host = "one", dropped = 0) => ({ type: "log", host, lines, dropped });
const messages = (buffer, filter = {}) => buffer.matching({ ...everything, ...filter }).map(({ message }) => message);

test("the lines of all processes are in order, and each is there once", () => {
  const buffer = new LogBuffer();
  const lines = [line(1), line(2), line(3)];
  const other = line(1, { message: "other" });
  buffer.apply(frame([lines[0], lines[2]]));
  buffer.apply(frame([other], "two"));
  buffer.apply(frame(lines));
  assert.deepEqual(messages(buffer), ["line 1", "line 2", "line 3", "other"]);
  assert.equal(buffer.size, 4);
});

test("it is bounded, and tells what is missing", () => {
  const buffer = new LogBuffer();
  for (let round = 0; round < 8; round++)
    buffer.apply(
      frame(
        Array.from({ length: 1000 }, (_, place) => line(round * 1000 + place)),
        "one",
        10,
      ),
    );
  buffer.apply({ type: "missed", lines: 5 });
  buffer.apply({ type: "watching", processes: [] });
  assert.equal(buffer.size, MAX_LINES);
  assert.equal(messages(buffer)[0], "line 3000");
  assert.equal(buffer.dropped, 85);
});

test("each filter takes what it says", () => {
  const buffer = new LogBuffer();
  buffer.apply(
    frame([
      line(1, { level: "DEBUG" }),
      line(2, { level: "WARNING", logger: "django.request", run: "r1", conversation: "c1", user: "7" }),
      line(3, { level: "ERROR", exception: "ValueError: Some TEXT", run: "r2", user: "77" }),
      line(4, { level: "AUDIT" }),
    ]),
  );
  const taken = (filter) => buffer.matching({ ...everything, ...filter }).map(({ number }) => number);
  assert.deepEqual(taken({}), [1, 2, 3, 4]);
  assert.deepEqual(taken({ level: "INFO" }), [2, 3, 4], "a level that is not known is like INFO");
  assert.deepEqual(taken({ level: "ERROR" }), [3]);
  assert.deepEqual(taken({ logger: "nous_chat" }), [1, 3, 4]);
  assert.deepEqual(taken({ logger: "nous" }), [], "a logger, not a part of its name");
  assert.deepEqual(taken({ run: "r" }), [2, 3]);
  assert.deepEqual(taken({ conversation: "c1" }), [2]);
  assert.deepEqual(taken({ user: "7" }), [2]);
  assert.deepEqual(taken({ text: "some text" }), [3]);
});
