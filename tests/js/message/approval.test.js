import assert from "node:assert/strict";
import { test } from "node:test";
import { strings } from "../../../chat/static/nous_chat/i18n/strings.js";
import { readArguments, readableJson } from "../../../chat/static/nous_chat/message/approval.js";
import { sentenceOf } from "../../../chat/static/nous_chat/message/tool-call.js";
import { parseJson } from "../../../chat/static/nous_chat/protocol/json.js";
import { bob, call } from "../wire.js";

test("shown arguments can be parsed back exactly", () => {
  const value = {
    to: ["bob@example.org"],
    text: 'line\nline "quoted" \\ \u202egnp.exe \u{e0041} ünï 👩‍🚀',
    n: -1.5e3,
    deep: { no: null },
  };
  assert.deepEqual(readArguments(readableJson(value)), { value });
  assert.equal(readableJson({ to: "bob" }), '{\n  "to": "bob"\n}');
  assert.equal(readableJson(null), "");
});

test("invisible characters are shown as escapes", () => {
  const shown = readableJson({ "a\u200bb": "x\u202ey\u2066z\u{e0041}\u0085\u2028" });
  assert.equal(shown, '{\n  "a\\u200bb": "x\\u202ey\\u2066z\\udb40\\udc41\\u0085\\u2028"\n}');
  assert.equal(
    readableJson({ a: "می\u200cخواهم 👩‍🚀" }),
    '{\n  "a": "می\u200cخواهم 👩‍🚀"\n}',
    "joiners are part of the writing",
  );
});

test("only one JSON object is accepted", () => {
  for (const text of ["", "{", '{"to": bob}', "{'to': 1}", '{"a": 1,}'])
    assert.match(readArguments(text).problem, /not valid JSON/, text);
  for (const text of ["null", "[1]", '"to"', "3", "true"])
    assert.match(readArguments(text).problem, /one JSON object/, text);
  assert.deepEqual(readArguments(' {"a": []} '), { value: { a: [] } });
});

test("large numbers survive from the frame to the field and back", { skip: !JSON.rawJSON }, () => {
  const frame = '{"id":12345678901234567890,"share":0.12345678901234567890,"n":[1234567890123456]}';
  const { id, share, n } = parseJson(frame);
  assert.match(readableJson({ id, share, n }), /: 12345678901234567890,\n.*: 0.12345678901234567890,/);
  assert.equal(JSON.stringify(readArguments(readableJson({ id, share, n })).value), frame);
  assert.deepEqual(n, [1234567890123456]);
});

test("a tool call is described in plain words", () => {
  for (const name of ["send_email", "sendEmail", "send-email", "send.email_"])
    assert.equal(strings.toolAction(name), "Send email");
  assert.equal(strings.toolAction("__"), "__");
  assert.equal(sentenceOf(call("x", "done", { decided_by: bob })), "Used send_email, approved by Bob.");
  assert.equal(sentenceOf(call("x", "rejected", { decided_by: bob })), "send_email rejected by Bob.");
  assert.equal(sentenceOf(call("x", "failed")), "send_email failed.");
});

test("calls of the document tools are described in plain words", () => {
  assert.match(sentenceOf(call("x", "running", { name: "create_document" })), /^Creating a document…/);
  assert.equal(sentenceOf(call("x", "done", { name: "create_document" })), "Created a document.");
  assert.equal(sentenceOf(call("x", "done", { name: "read_document" })), "Read a document.");
  assert.equal(
    sentenceOf(call("x", "done", { name: "rewrite_document", decided_by: bob })),
    "Rewrote a document, approved by Bob.",
  );
  assert.equal(sentenceOf(call("x", "failed", { name: "edit_document" })), "Editing a document failed.");
  assert.equal(sentenceOf(call("x", "stopped", { name: "edit_document" })), "Editing a document stopped.");
  assert.equal(
    sentenceOf(call("x", "rejected", { name: "edit_document", decided_by: bob })),
    "Editing a document rejected by Bob.",
  );
  assert.equal(sentenceOf(call("x", "done", { name: "constructor" })), "Used constructor.");
});
