import assert from "node:assert/strict";
import { test } from "node:test";

import { Blocks } from "../../../chat/static/nous_chat/markdown/blocks.js";
import MarkdownIt from "../../../chat/static/nous_chat/vendor/markdown-it/markdown-it.js";
import { documents, Random } from "./documents.js";

/** The tree without the parser's own fields. */
function shape({ type, open, children, text, level, ordered, start, loose, task, language, align, rows }) {
  const kept = { type, open, text, level, ordered, start, loose, task, language, align, rows };
  for (const name of Object.keys(kept)) if (kept[name] === undefined) delete kept[name];
  return children ? { ...kept, children: children.map(shape) } : kept;
}

function read(...pieces) {
  const blocks = new Blocks();
  for (const piece of pieces) blocks.push(piece);
  blocks.close();
  return shape(blocks.root).children;
}

/** One short line for each block. */
function brief(blocks) {
  return blocks.map(({ type, text, children, level, language, rows }) => {
    const inside = children ? brief(children).join(" ") : rows ? JSON.stringify(rows) : (text ?? "");
    return `${type}${level ?? ""}${language ? `:${language}` : ""}(${inside})`;
  });
}

const reads = (text, ...expected) => test(JSON.stringify(text), () => assert.deepEqual(brief(read(text)), expected));

reads("one\ntwo\n\nthree", "paragraph(one\ntwo)", "paragraph(three)");
reads("# A #\n## B\ntext", "heading1(A)", "heading2(B)", "paragraph(text)");
reads("#hashtag", "paragraph(#hashtag)");
reads("A\n===\nB\n---", "heading1(A)", "heading2(B)");
reads("***\n- - -\n", "rule()", "rule()");
reads(
  "- a\n- b\n  - c\n\n    d\ne",
  "list(item(paragraph(a)) item(paragraph(b) list(item(paragraph(c) paragraph(d\ne)))))",
);
reads(
  "text\n2. b\n- a\ntext\n2. b",
  "paragraph(text\n2. b)",
  "list(item(paragraph(a\ntext)))",
  "list(item(paragraph(b)))",
);
reads(
  "- a\n* b\n1. c\n2) d",
  "list(item(paragraph(a)))",
  "list(item(paragraph(b)))",
  "list(item(paragraph(c)))",
  "list(item(paragraph(d)))",
);
reads("-\n  a\n-\n\n  b", "list(item(paragraph(a)) item())", "paragraph(b)");
reads("> a\nb\n> > c\n\nd", "quote(paragraph(a\nb) quote(paragraph(c)))", "paragraph(d)");
reads("```py title\n# a\n\n  b\n````\nc", "code:py(# a\n\n  b\n)", "paragraph(c)");
reads("~~~\n```\n~~~", "code(```\n)");
reads("1. a\n   ```\n   \tb\n  c\n```", "list(item(paragraph(a) code(\tb\n)))", "paragraph(c)", "code()");
reads("    code\n\n      more\n\ntext", "code(code\n\n  more\n)", "paragraph(text)");
reads("\tcode", "code(code\n)");
reads("$$\nx\n$$\n\\[y\\]\n$$z", "math(x\n)", "math(y\n)", "math(z\n)");
reads("$$x$$ and more", "paragraph($$x$$ and more)");
reads("$$\nx\n\ntext", "math(x\n)", "paragraph(text)");
reads(
  "a\n| b | c |\n|---|:-:|\n| 1 |\n2 | 3 | 4\n\nd",
  "paragraph(a)",
  'table([["b","c"],["1",""],["2","3"]])',
  "paragraph(d)",
);
reads("| a \\| b |\n|-|", 'table([["a | b"]])');
reads("a\n|-|-|", "paragraph(a\n|-|-|)");
reads("<script>\nalert(1)\n</script>", "paragraph(<script>\nalert(1)\n</script>)");
reads("line\r\nline\r\n", "paragraph(line\nline)");

test("a list has its start number, its tasks, and whether blank lines separate its items", () => {
  const [list] = read("3. [x] a\n4. [ ] b\n5. c\n");
  assert.deepEqual(
    [list.ordered, list.start, list.loose, list.children.map(({ task }) => task)],
    [true, 3, false, [true, false, null]],
  );
  for (const loose of ["- a\n\n- b", "- a\n\n  b", "- a\n  - b\n\n- c"])
    assert.equal(read(loose)[0].loose, true, loose);
  for (const tight of ["- a\n- b\n\ntext", "- a\n  - b\n\n    c", "- > a\n  >\n- b", "-\n- b"])
    assert.equal(read(tight)[0].loose, false, tight);
});

reads("$$\na = b\n\nc = d\n$$\n\nText.", "math(a = b\n\nc = d\n)", "paragraph(Text.)");
reads(
  "$$\na = b\n\nThis is text, the end is missing.",
  "math(a = b\n)",
  "paragraph(This is text, the end is missing.)",
);
reads(
  "\\[\n\\begin{aligned}\np &= q \\\\\n\nr &= s\n\\end{aligned}\n\\]\nx",
  "math(\\begin{aligned}\np &= q \\\\\n\nr &= s\n\\end{aligned}\n)",
  "paragraph(x)",
);
reads(
  "```markdown\n# T\n```bash\nls\n```\nThen.\n```\nAfter.",
  "code:markdown(# T\n```bash\nls\n```\nThen.\n)",
  "paragraph(After.)",
);
reads("```python\n# T\n```bash\nls\n```\nThen.", "code:python(# T\n```bash\nls\n)", "paragraph(Then.)");
reads("````md\n```\na\n```\n````\nb", "code:md(```\na\n```\n)", "paragraph(b)");
reads(
  "a\n<details><summary>More</summary>\n\n- b\n\n</details>\nc",
  "paragraph(a)",
  "details(list(item(paragraph(b))))",
  "paragraph(c)",
);
reads("<details open>\n<summary>More</summary>\na\n</details> b", "details(paragraph(a))", "paragraph(b)");
reads("<details><summary>More</summary>a</details>\nb", "details(paragraph(a))", "paragraph(b)");
reads(
  "<details>\n```\n</details>\n```\n<details>\na\n</details>\nb\n</details>\nc",
  "details(code(</details>\n) details(paragraph(a)) paragraph(b))",
  "paragraph(c)",
);
reads("</details>\n<details onclick=x>", "paragraph(</details>\n<details onclick=x>)");
reads(
  "a[^1]\n\n[^1]: b\n[^2]: c\n\n    d\n\ne",
  "paragraph(a[^1])",
  "footnote(paragraph(b))",
  "footnote(paragraph(c) paragraph(d))",
  "paragraph(e)",
);

test("details know their summary, wherever it stands", () => {
  for (const text of ["<details><summary> A *b* </summary>\nc", "<details>\n\n<summary>A *b*</summary>c\n</details>"]) {
    const blocks = new Blocks();
    blocks.push(text);
    assert.equal(blocks.root.children[0].summary, "A *b*");
  }
});

test("a table has the alignment of its columns", () => {
  assert.deepEqual(read("a|b|c|d\n-|:-|-:|:-:")[0].align, ["", "left", "right", "center"]);
});

test("a label is defined once, by a line that is not shown", () => {
  const blocks = new Blocks();
  blocks.push('[One  two]: <https://a.org> "T"\n[one two]: https://b.org\ntext\n[c]: https://c.org\n\n[^d]: note\n');
  assert.deepEqual(brief(shape(blocks.root).children), [
    "paragraph(text\n[c]: https://c.org)",
    "footnote(paragraph(note))",
  ]);
  const labels = { "ONE TWO": { href: "https://a.org", title: "T" }, "^D": { href: "", title: "" } };
  assert.deepEqual({ ...blocks.definitions }, labels);
});

test("the tree does not depend on how the text is cut", () => {
  const random = new Random(1);
  for (const text of documents(random, 400)) {
    const whole = read(text);
    assert.deepEqual(read(...text), whole, JSON.stringify(text));
    for (let i = 0; i < 3; i++) assert.deepEqual(read(...random.pieces(text)), whole, JSON.stringify(text));
  }
});

test("a long line is complete however it is cut", () => {
  const random = new Random(2);
  for (const start of ["", "- ", "> 1. ", "# ", "```\n", "|a|\n|-|\n| ", "    ", "$$\n", " ".repeat(1200)]) {
    const text = `${start}${"word, ".repeat(400)}\nnext\n`;
    const whole = read(text);
    assert.ok(JSON.stringify(whole).match(/word/g).length === 400, start);
    for (let i = 0; i < 5; i++) assert.deepEqual(read(...random.pieces(text)), whole, start);
  }
});

test("the preview of an unfinished line changes nothing", () => {
  const random = new Random(3);
  for (const text of documents(random, 200)) {
    const blocks = new Blocks();
    for (const character of text) {
      blocks.push(character);
      blocks.preview();
    }
    blocks.close();
    assert.deepEqual(shape(blocks.root).children, read(text), JSON.stringify(text));
  }
});

test("an undecided line has no preview", () => {
  for (const line of [
    "-",
    "- ",
    "#",
    "##",
    "``",
    "```py",
    "|",
    "| a",
    "1",
    "1.",
    "==",
    "> ",
    "> -",
    "- [",
    "- [x",
    "[a]: ht",
    "$",
    "***",
    "a\n--",
    "a\n|-",
  ]) {
    const blocks = new Blocks();
    blocks.push(line);
    assert.equal(blocks.preview(), null, line);
  }
  const seen = (text) => {
    const blocks = new Blocks();
    blocks.push(text);
    const { block, ...rest } = blocks.preview();
    return [block && brief([block])[0], rest];
  };
  assert.deepEqual(seen("- a"), ["list(item(paragraph(a)))", { depth: 0 }]);
  assert.deepEqual(seen("- [x] a"), ["list(item(paragraph(a)))", { depth: 0 }]);
  assert.deepEqual(seen("- a\n- b"), ["item(paragraph(b))", { depth: 1 }]);
  assert.deepEqual(seen("one\ntwo"), [null, { depth: 0, text: "\ntwo" }]);
  assert.deepEqual(seen("```\nx = 1\n  y"), [null, { depth: 0, text: "  y" }]);
  assert.deepEqual(seen("## Tit"), ["heading2(Tit)", { depth: 0 }]);
});

test("a closed block never changes", () => {
  const random = new Random(4);
  for (const text of documents(random, 200)) {
    const blocks = new Blocks();
    const closed = new Map();
    const look = (block) => {
      if (!block.open && !closed.has(block)) closed.set(block, JSON.stringify(shape(block)));
      block.children?.forEach(look);
    };
    for (const character of text) {
      blocks.push(character);
      look(blocks.root);
    }
    for (const [block, then] of closed) assert.equal(JSON.stringify(shape(block)), then, JSON.stringify(text));
  }
});

test("nesting is limited", () => {
  for (const line of [
    ">".repeat(50_000),
    "> ".repeat(50_000),
    "- ".repeat(50_000),
    "1. ".repeat(30_000),
    "-\t".repeat(50_000),
    " ".repeat(100_000),
  ]) {
    const depth = (block) => 1 + Math.max(0, ...(block.children ?? []).map(depth));
    assert.ok(Math.max(...read(line).map(depth), 0) < 30);
  }
  const nested = Array.from({ length: 2000 }, (_, i) => `${"  ".repeat(i)}- a\n`).join("");
  assert.ok(read(nested).length > 0);
});

test("markdown-it finds the same blocks", () => {
  const oracle = new MarkdownIt("default", { html: false });
  const random = new Random(5);
  for (const text of documents(random, 1500, { plain: true })) {
    assert.deepEqual(brief(read(text)), brief(tree(oracle.parse(text, {}))), JSON.stringify(text));
  }
});

/** markdown-it's tokens as a tree of our blocks. */
function tree(tokens) {
  const root = { children: [] };
  const open = [root];
  const types = { bullet_list: "list", ordered_list: "list", list_item: "item", blockquote: "quote" };
  for (const token of tokens) {
    const name = token.type.replace(/_(open|close)$/, "");
    const top = open.at(-1);
    if (token.nesting < 0) open.pop();
    else if (name in types) {
      top.children.push({ type: types[name], children: [] });
      open.push(top.children.at(-1));
    } else if (name === "paragraph" || name === "heading") {
      open.push({ type: name, level: name === "heading" ? Number(token.tag[1]) : undefined });
      top.children.push(open.at(-1));
    } else if (name === "table") {
      open.push({ type: "table", rows: [] });
      top.children.push(open.at(-1));
    } else if (name === "tr") {
      top.rows.push([]);
      open.push({ row: top.rows.at(-1) });
    } else if (name === "th" || name === "td") open.push({ cell: top.row });
    else if (name === "thead" || name === "tbody") open.push(top);
    else if (name === "inline" && top.cell) top.cell.push(token.content);
    else if (name === "inline") top.text = token.content.replace(/\n[ \t]+/g, "\n");
    else if (name === "fence" || name === "code_block")
      top.children.push({
        type: "code",
        language: token.info.trim().split(/\s/)[0],
        text: token.content.replace(/([^\n])$/, "$1\n"),
      });
    else if (name === "hr") top.children.push({ type: "rule" });
  }
  return root.children;
}
