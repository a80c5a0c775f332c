import assert from "node:assert/strict";
import { test } from "node:test";

import { parseCsv } from "../../../chat/static/nous_chat/documents/csv.js";

test("cells are separated by the separator that the first line has most of", () => {
  assert.deepEqual(parseCsv("a,b\n1,2\n"), [
    ["a", "b"],
    ["1", "2"],
  ]);
  assert.deepEqual(parseCsv("a;b\n1,5;2\r\n"), [
    ["a", "b"],
    ["1,5", "2"],
  ]);
  assert.deepEqual(parseCsv("a\tb\n"), [["a", "b"]]);
});

test("quoted cells hold separators, line ends, and quotation marks", () => {
  assert.deepEqual(parseCsv('"a,1","b\n2","say ""c"""\n'), [["a,1", "b\n2", 'say "c"']]);
  assert.deepEqual(parseCsv('"a"b,c'), [["ab", "c"]]);
});

test("what is still being written is shown as far as it is there", () => {
  assert.deepEqual(parseCsv('a,b\n"x,y'), [["a", "b"], ["x,y"]]);
  assert.deepEqual(parseCsv("a,b\n1,"), [
    ["a", "b"],
    ["1", ""],
  ]);
  assert.deepEqual(parseCsv(""), []);
});

test("a megabyte of anything takes no time to speak of", () => {
  for (const piece of ['"', ",", "\n", '""', 'a"', "a,\n"]) {
    const before = process.cpuUsage();
    parseCsv(piece.repeat(1_000_000 / piece.length));
    assert.ok(process.cpuUsage(before).user < 5_000_000, piece); // the square of a million would take minutes
  }
});
