import assert from "node:assert/strict";
import { test } from "node:test";

import { findLinks, inline } from "../../../chat/static/nous_chat/markdown/inline.js";

/** Spans in one line: `strong(a)`, `link(https://a.org: a)`, `math(x)`. */
function brief(spans) {
  return spans
    .map((span) => {
      if (span.type === "text") return span.text;
      if (span.type === "br") return "|";
      const inside = span.children ? brief(span.children) : span.text;
      return `${span.type}(${span.href === undefined ? "" : `${span.href}: `}${inside})`;
    })
    .join("");
}
const reads = (text, expected, definitions = {}) =>
  test(JSON.stringify(text), () => assert.equal(brief(inline(text, definitions)), expected));

// Emphasis next to the punctuation of Chinese, Japanese and Korean.
reads("**結論：**今日は", "strong(結論：)今日は");
reads("設定は**「自動更新」**を", "設定はstrong(「自動更新」)を");
reads("价格**（含税）**是", "价格strong(（含税）)是");
reads("이것은 **'공개 문서'**입니다.", "이것은 strong('공개 문서')입니다.");
reads("**手順１。**保存", "strong(手順１。)保存");
reads("~~（旧）~~新しい", "s(（旧）)新しい");
reads("他说*“好。”*然后", "他说em(“好。”)然后");
reads("snake_case_name and 5 * 3 * 2, a*b*c, _x_", "snake_case_name and 5 * 3 * 2, aem(b)c, em(x)");
reads('a*"b"*c', 'a*"b"*c');
reads("𠀀**（x）**𠀀", "𠀀strong(（x）)𠀀");

// Bare URLs and what stands right behind them.
const linked = (url) => `link(${url}: ${url})`;
reads("在 https://a.example/guide（中文），请", `在 ${linked("https://a.example/guide")}（中文），请`);
reads("はhttps://a.example/a?b=1。次", `は${linked("https://a.example/a?b=1")}。次`);
reads("访问https://a.example了解更多", `访问${linked("https://a.example")}了解更多`);
reads("Сайт https://a.exampleзначит", `Сайт ${linked("https://a.example")}значит`);
reads("https://a.example/x_(y), then", `${linked("https://a.example/x_(y)")}, then`);
reads(
  "https://bücher.example/straße",
  "link(https://xn--bcher-kva.example/stra%C3%9Fe: https://bücher.example/straße)",
);
test("a path in another script is whole", () => {
  const [, link] = inline("見て：https://a.example/path/日本語 です", {});
  assert.equal(decodeURI(link.href), "https://a.example/path/日本語");
});
test("links in plain text", () => {
  const text = "はhttps://a.example了 (http://b.example/x). javascript://c.example HTTPS://D.example";
  assert.deepEqual(
    findLinks(text).map(({ start, end, url }) => [text.slice(start, end), url]),
    [
      ["https://a.example", "https://a.example"],
      ["http://b.example/x", "http://b.example/x"],
      ["HTTPS://D.example", "HTTPS://D.example"],
    ],
  );
});

// Tags of the closed list; everything else stays text.
reads("a<br>b<br/>c<BR />d", "a|b|c|d");
reads("H<sub>2</sub>O, x<sup>*n*</sup>, <kbd>Ctrl</kbd>", "Hsub(2)O, xsup(em(n)), kbd(Ctrl)");
reads("<sub>a<sub>b</sub></sub>", "sub(asub(b))");
reads("<sub>a</sup> </sub", "<sub>a</sup> </sub");
reads("*a<sub>b*c</sub>", "*asub(b*c)");
reads("`<br>` <br onclick=x> <kbd id=x>a</kbd> <b>c</b>", "code(<br>) <br onclick=x> <kbd id=x>a</kbd> <b>c</b>");
reads("<script>alert(1)</script>", "<script>alert(1)</script>");
test("an unfinished tag is not shown, and an open one counts as closed", () => {
  const seen = ["<", "<s", "<su", "<sub", "<sub>", "<sub>2", "<sub>2<", "<sub>2</su"];
  assert.deepEqual(
    seen.map((end) => brief(inline(`H${end}`, {}, true))),
    ["H", "H", "H", "H", "Hsub()", "Hsub(2)", "Hsub(2)", "Hsub(2)"],
  );
});

// Formulas and amounts of money.
reads("The $n$th term, the $k$-th row, and $2^n$s.", "The math(n)th term, the math(k)-th row, and math(2^n)s.");
reads("From $2bn to at least $4bn per year.", "From $2bn to at least $4bn per year.");
reads("It costs $5, $6 or $7.50; **$10**/month", "It costs $5, $6 or $7.50; strong($10)/month");
reads("US$30–$40, and $100K vs $200K.", "US$30–$40, and $100K vs $200K.");
reads("from $3 (in May) to $4 (in June), i.e. +$1.", "from $3 (in May) to $4 (in June), i.e. +$1.");
reads("The area is $\\pi r^2$ and the price is $9.", "The area is math(\\pi r^2) and the price is $9.");
reads("\\$5 and \\$6", "$5 and $6");
reads("價格是$5到$10之間，公式$x^2$成立。", "價格是$5到$10之間，公式math(x^2)成立。");
reads("$5 or$x and $10k/$12k", "$5 or$x and $10k/$12k");

// Footnotes.
const notes = { "^1": { href: "", title: "" }, "^NOTE": { href: "", title: "" } };
reads("Water[^1] at sea[^note].", "Waternote(^1) at seanote(^note).", notes);
reads("Water[^1] at sea[^other].", "Waternote(^1) at sea[^other].", notes);
reads("[text][^1]", "note(text)", notes);
