import assert from "node:assert/strict";
import { test } from "node:test";

import { setLanguage, strings } from "../../../chat/static/nous_chat/i18n/strings.js";

const GERMAN = {
  language: "de",
  texts: {
    Send: "Senden",
    "{name} is typing": "{name} schreibt",
    "{count} token": ["{count} Token", "{count} Tokens"],
  },
  plurals: "10".padEnd(200, "1"),
};

test("without a catalogue the page is in English", () => {
  assert.equal(strings.send, "Send");
  assert.equal(strings.typing(["Ada"]), "Ada is typing");
  assert.equal(strings.tokens(1), "1 token");
  assert.equal(strings.tokens(1200), "1,200 tokens");
});

test("a catalogue translates, and missing texts stay English", () => {
  setLanguage(GERMAN);
  assert.equal(strings.send, "Senden");
  assert.equal(strings.typing(["{name}"]), "{name} schreibt");
  assert.equal(strings.tokens(1), "1 Token");
  assert.equal(strings.tokens(1200), "1.200 Tokens");
  assert.equal(strings.stop, "Stop");
  setLanguage(null);
  assert.equal(strings.send, "Send");
});

test("a language with three plural forms follows its rule", () => {
  const polish = (n) => (n === 1 ? 0 : n % 10 >= 2 && n % 10 <= 4 && (n % 100 < 10 || n % 100 >= 20) ? 1 : 2);
  const plurals = Array.from({ length: 200 }, (_, n) => polish(n)).join("");
  setLanguage({ language: "pl", texts: { "{count} token": ["{count} a", "{count} b", "{count} c"] }, plurals });
  for (const [count, form] of [
    [0, "c"],
    [1, "a"],
    [2, "b"],
    [5, "c"],
    [112, "c"],
    [122, "b"],
    [1001, "c"],
    [1004, "b"],
  ]) {
    assert.equal(strings.tokens(count).at(-1), form, String(count));
  }
  setLanguage(null);
});

test("sizes are in KB and MB of 1024, as the server counts them", () => {
  const sizes = [1, 1023, 256 * 1024, 1.5 * 1024 ** 2].map(strings.size);
  assert.deepEqual(sizes, ["1 byte", "1,023 bytes", "256\u00a0KB", "1.5\u00a0MB"]);
});

test("a long wait is told in minutes, and not at all if the sentence tells it", () => {
  const refused = (retry_after, code = "rate_limited") => strings.refused({ code, message: "No.", retry_after });
  assert.equal(refused(null), "No.");
  assert.equal(refused(1), "No. Try again in 1 second.");
  assert.equal(refused(600), "No. Try again in 10 minutes.");
  for (const code of ["budget", "busy", "unavailable"]) assert.equal(refused(600, code), "No.");
});
