import assert from "node:assert/strict";
import { test } from "node:test";

import { isReadable, OPTIONS } from "../../../chat/static/nous_chat/markdown/formula.js";
import katex from "../../../chat/static/nous_chat/vendor/katex/katex.js";

const LARGEST = 500_000; // characters of MathML; 3,000 accented letters make 150,000

/** Formulas that define commands, as long as they may be to be drawn. */
function* defining() {
  for (const define of ["\\def\\a", "\\gdef\\a", "\\newcommand{\\a}", "\\let\\b=x\\def\\a"]) {
    for (let length = 3000; length > 0; length -= 50) {
      const body = `${define}{${"x".repeat(length / 2)}}`;
      const formula = body + "\\a ".repeat(Math.max(0, (length - body.length) / 3));
      if (isReadable(formula)) yield formula;
    }
  }
}

test("a formula does not become much longer than it is written", () => {
  const accents = ["\\frac{a}{b}", "á", "\\begin{matrix}&&&\\\\\\end{matrix}", "x^2"];
  const long = accents.map((unit) => unit.repeat(3000 / unit.length));
  for (const formula of [...long, ...defining()]) {
    assert.ok(isReadable(formula));
    let length = 0;
    try {
      ({ length } = katex.renderToString(formula, OPTIONS));
    } catch (error) {
      assert.ok(error instanceof katex.ParseError);
    }
    assert.ok(length < LARGEST, `${length} of ${formula.slice(0, 30)}`);
  }
});

test("short definitions are drawn", () => {
  assert.ok(isReadable("\\newcommand{\\R}{\\mathbb{R}} f: \\R \\to \\R"));
});
