import assert from "node:assert/strict";
import { test } from "node:test";

import { legible, readArguments } from "../nous_chat/approval.js";

test("arguments are shown so that they can be read back exactly", () => {
  const value = { to: ["bob@example.org"], text: "line\nline \"quoted\" \\ \u202egnp.exe \u{e0041} ünï 👩‍🚀", n: -1.5e3, deep: { no: null } };
  assert.deepEqual(readArguments(legible(value)), { value });
  assert.equal(legible({ to: "bob" }), '{\n  "to": "bob"\n}');
  assert.equal(legible(null), "");
});

test("what cannot be seen, or turns the direction, stands there as an escape", () => {
  const shown = legible({ "a\u200bb": "x\u202ey\u2066z\u{e0041}\u0085\u2028" });
  assert.equal(shown, '{\n  "a\\u200bb": "x\\u202ey\\u2066z\\udb40\\udc41\\u0085\\u2028"\n}');
  assert.equal(legible({ a: "می\u200cخواهم 👩‍🚀" }), '{\n  "a": "می\u200cخواهم 👩‍🚀"\n}', "joiners are part of the writing");
});

test("only one JSON object goes back", () => {
  for (const text of ["", "{", '{"to": bob}', "{'to': 1}", '{"a": 1,}']) assert.match(readArguments(text).problem, /not JSON/, text);
  for (const text of ["null", "[1]", '"to"', "3", "true"]) assert.match(readArguments(text).problem, /one JSON object/, text);
  assert.deepEqual(readArguments(' {"a": []} '), { value: { a: [] } });
});
