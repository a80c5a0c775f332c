// Random test documents: every kind of line in any order, cut anywhere. The same seed gives the same documents.

const PLAIN = [
  "text",
  "more text",
  "",
  "",
  "# Heading",
  "### Heading ###",
  "- item",
  "- item",
  "  - nested",
  "    - deeper",
  "* star",
  "1. one",
  "2. two",
  "10) ten",
  "   continued",
  "  continued",
  "> quote",
  "> - item",
  "- > quote",
  "```",
  "```",
  "```py",
  "~~~",
  "    indented",
  "---",
  "***",
  "===",
  "-",
  "1.",
  ">",
  "code = 1",
  "\tx",
  "   ```",
  "  ```js",
  "####### seven",
  "-text",
  "- a\n\n  b",
  "| a | b |\n|---|--:|\n| 1 | 2 |",
  "| x |\n| - |",
  "`a` *b* **c",
  "<b>raw</b>",
  "\\# no",
  "-   three blanks",
  "1986. year",
];
const OTHER = [
  "> > twice", // what is indented after it is code for markdown-it, but text by CommonMark's example 236
  "- [ ] task",
  "- [x] done",
  "$$",
  "\\[",
  "\\]",
  "$$x$$",
  "x^2 $$",
  "[a]: https://a.org",
  "[a] and [b][a]",
  "line\r",
  "\u00a0",
  "| c | d |",
  "|---|---|",
  "a $x$ b",
  "![p](https://a.org/b.png)",
  "<https://a.org>",
  "[l](https://a.org)",
  "**bold\nover lines**",
  "🌊 wide",
  "\u0000",
  "&amp; &copy;",
  "https://a.org/b?c=d&e",
  "~~gone~~",
  "word ".repeat(300),
  "```mermaid",
  "e\u0301",
  "مرحبا",
  "[x](javascript:alert(1))",
  "<details><summary>More *of* it</summary>",
  "<details>",
  "<summary>Title</summary>",
  "</details>",
  "<details><summary>a</summary>b</details>",
  "a<br>b H<sub>2</sub>O <kbd>x</kbd> <sup>",
  "[^1]: note",
  "[^two]:\n\n    note",
  "see[^1] and[^two] and [^none]",
  "```markdown",
  "```md\n```py\n```",
  "\\[\na\n\nb",
  "**「引用」**です https://a.example了",
  "$n$th for $5 or $6",
];

export class Random {
  #state;

  constructor(seed) {
    this.#state = seed;
  }

  /** Mulberry32. */
  below(limit) {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }

  of(list) {
    return list[this.below(list.length)];
  }

  /** The text in pieces of 1 to 40 characters. */
  pieces(text) {
    const pieces = [];
    for (let i = 0; i < text.length; ) {
      const end = i + 1 + this.below(40);
      pieces.push(text.slice(i, end));
      i = end;
    }
    return pieces;
  }
}

/** @param {Random} random  @param {number} count  @param {{plain?: boolean}} options only what CommonMark and GFM know */
export function* documents(random, count, { plain = false } = {}) {
  const lines = plain ? PLAIN : [...PLAIN, ...OTHER];
  for (let i = 0; i < count; i++) yield Array.from({ length: 1 + random.below(14) }, () => random.of(lines)).join("\n");
}
