"""A corpus of edits in the manner of real models: what they quote, what they mean, and what must be refused.

Each text has some places that a model wants to change, and each manner is a way in which models quote such a place:
exactly, from memory, with other blanks or signs, or wrongly. `cases` combines them.
"""
# ruff: noqa: RUF001, W291

import textwrap
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Case(NamedTuple):
    """`meant` is the text that the model wants; None if the edit must be refused."""

    name: str
    text: str
    search: str
    replace: str
    meant: str | None


class Place(NamedTuple):
    """Some whole lines of a text, and what the model wants in their place."""

    old: str
    new: str


PYTHON = '''import os
import sys


class Store:
    """Keeps "values" in a file — one per line."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.values: list[str] = []

    def load(self) -> None:
        if not os.path.exists(self.path):
            return
        with open(self.path) as file:
            for line in file:
                if line.strip():
                    self.values.append(line.strip())

    def save(self) -> None:
        with open(self.path, "w") as file:
            for value in self.values:
                file.write(value + "\\n")


def main() -> None:
    store = Store(sys.argv[1])
    store.load()
    print(f"{len(store.values)} values 🎉")
'''

JAVASCRIPT = """import { html } from "./html.js";

export function render(items) {
\tconst rows = items.map((item) => {
\t\tif (!item.name) {
\t\t\treturn null;
\t\t}
\t\treturn html`<li class="row">${item.name}</li>`;
\t});
\treturn html`<ul>${rows}</ul>`;
}

const cache = new Map();
export const lookup = (key) => cache.get(key) ?? "—";
"""

MARKDOWN = """# Café “Zürich”: plan

We open on *Monday*, the 3rd – if the oven works.

## To do

- Buy flour   
- Call the baker 👩‍🍳
- Paint the sign (blue, not green)
- Buy sugar

| what | cost |
|------|-----:|
| oven | 1,200 |
| sign | 80 |

## Notes

> “Nobody goes there anymore. It’s too crowded.”

Ask Łukasz about the lease.
"""

CSV = '''name,city,amount
"Müller, Anna",Köln,12.50
"O'Brien, Pat",Dublin,7.00
李雷,北京,88.00
"Smith, ""Jo""",Leeds,0.99
Zoë,Amsterdam,15.25
'''

HTML = """<!doctype html>
<html lang="en">
  <head>
    <title>Bikes &amp; parts</title>
  </head>
  <body>
    <main>
      <h1>Bikes</h1>
      <p class="lead">All of them “as new”.</p>
      <ul>
        <li>Tyres</li>
        <li>Pumps</li>
      </ul>
    </main>
  </body>
</html>
"""

SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 80">
  <rect x="10" y="10" width="40" height="20" fill="teal"/>
  <circle cx="80" cy="20" r="12" fill="gold"/>
  <g transform="translate(0 40)">
    <path d="M 10 10 L 30 30 Z"/>
    <text x="12" y="24">Höhe → 20</text>
  </g>
</svg>
"""

MERMAID = """sequenceDiagram
    participant A as Ada
    participant B as Bob
    A->>B: Hello, B!
    loop every minute
        B-->>A: Still here?
        A-->>B: Yes
    end
    Note over A,B: 会話
"""

YAML = """services:
  web:
    image: "nginx:1.27"
    ports:
      - "80:80"
    environment:
      MODE: 'production'
  worker:
    image: "app:latest"
    command: ["run", "--queue", "high"]
    environment:
      LEVEL: 'info'
"""

HUGE = "\n".join(f"{number}. {'word ' * (number % 40)}end of {number}" for number in range(1, 6000)) + "\n"

TEXTS: dict[str, tuple[str, list[Place]]] = {
    "python": (
        PYTHON,
        [
            Place(
                "        if not os.path.exists(self.path):\n            return\n",
                "        if not os.path.exists(self.path):\n            self.values = []\n            return\n",
            ),
            Place('    """Keeps "values" in a file — one per line."""\n', '    """Keeps values in a file."""\n'),
        ],
    ),
    "javascript": (
        JAVASCRIPT,
        [
            Place(
                "\t\tif (!item.name) {\n\t\t\treturn null;\n\t\t}\n",
                '\t\tif (!item?.name) {\n\t\t\treturn "";\n\t\t}\n',
            ),
            Place('export const lookup = (key) => cache.get(key) ?? "—";\n', "export const lookup = cache.get;\n"),
        ],
    ),
    "markdown": (
        MARKDOWN,
        [
            Place("- Call the baker 👩‍🍳\n", "- Call the baker 👩‍🍳 again\n- Wait\n"),
            Place("> “Nobody goes there anymore. It’s too crowded.”\n", "> “Come early.”\n"),
        ],
    ),
    "csv": (
        CSV,
        [Place('"Smith, ""Jo""",Leeds,0.99\n', '"Smith, ""Jo""",Leeds,1.99\n'), Place("李雷,北京,88.00\n", "")],
    ),
    "html": (
        HTML,
        [
            Place(
                "        <li>Tyres</li>\n        <li>Pumps</li>\n", "        <li>Tyres</li>\n        <li>Bells</li>\n"
            ),
            Place('      <p class="lead">All of them “as new”.</p>\n', '      <p class="lead">All new.</p>\n'),
        ],
    ),
    "svg": (
        SVG,
        [
            Place('    <path d="M 10 10 L 30 30 Z"/>\n', '    <path d="M 10 10 L 40 30 Z" fill="none"/>\n'),
            Place('    <text x="12" y="24">Höhe → 20</text>\n', '    <text x="12" y="24">Höhe → 25</text>\n'),
        ],
    ),
    "mermaid": (
        MERMAID,
        [
            Place(
                "        B-->>A: Still here?\n        A-->>B: Yes\n",
                "        B-->>A: Still here?\n        A-->>B: No\n",
            ),
            Place("    Note over A,B: 会話\n", "    Note over A,B: 終わり 🎬\n"),
        ],
    ),
    "yaml": (
        YAML,
        [
            Place("    environment:\n      MODE: 'production'\n", "    environment:\n      MODE: 'test'\n"),
            Place('    command: ["run", "--queue", "high"]\n', '    command: ["run"]\n'),
        ],
    ),
}

Quote = Callable[[str, Place], tuple[str, str] | None]
"""What a model sends as search and replacement for a place; None if the manner does not apply to it."""


def _both(change: Callable[[str], str]) -> Quote:
    def quote(text: str, place: Place) -> tuple[str, str]:
        return change(place.old), change(place.new)

    return quote


def _search_only(change: Callable[[str], str]) -> Quote:
    def quote(text: str, place: Place) -> tuple[str, str] | None:
        changed = change(place.old)
        return None if changed == place.old else (changed, place.new)

    return quote


def _plain_signs(text: str) -> str:
    return text.translate(str.maketrans("“”’—–", '""\'--'))


def _fine_signs(text: str) -> str:
    """The first pair of quotation marks as printers set them."""
    return text.replace('"', "“", 1).replace('"', "”", 1)


def _blank_ends(text: str) -> str:
    return text.replace("\n", "  \n")


def _outdented(text: str, place: Place) -> tuple[str, str] | None:
    old, new = textwrap.dedent(place.old), textwrap.dedent(place.new)
    return None if old == place.old or not place.new else (old, new)


def _indented(text: str, place: Place) -> tuple[str, str] | None:
    return (textwrap.indent(place.old, "    "), textwrap.indent(place.new, "    ")) if place.new else None


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def _one_word_off(text: str) -> str:
    """The same with a longer word: the model quotes a version that no longer exists."""
    words = text.split(" ")
    at = max(range(len(words)), key=lambda number: sum(map(str.isalnum, words[number])))
    words[at] = words[at].rstrip("\n") + "XY" + ("\n" if words[at].endswith("\n") else "")
    return " ".join(words)


def _elided(text: str) -> str:
    half = len(text) // 2
    return text[: half - 2] + "..." + text[half + 2 :]


def _in_fence(text: str) -> str:
    return f"```\n{text}```\n"


AS_MEANT: dict[str, Quote] = {
    "exactly": lambda text, place: (place.old, place.new),
    "without the last line break": lambda text, place: (place.old[:-1], place.new[:-1]) if place.new else None,
    "with CRLF": _both(lambda text: text.replace("\n", "\r\n")),
    "with CR": _both(lambda text: text.replace("\n", "\r")),
    "the search with CRLF": _search_only(lambda text: text.replace("\n", "\r\n")),
    "with blanks at the ends of lines": _search_only(_blank_ends),
    "with plain signs": _search_only(_plain_signs),
    "with fine signs": _search_only(_fine_signs),
    "with narrow blanks": _search_only(lambda text: text.rstrip().replace(" ", "\u00a0", 1) + "\n"),
    "without its indentation": _outdented,
    "with more indentation": _indented,
    "decomposed": _search_only(_decomposed),
    "with a line before it": lambda text, place: _with_neighbour(text, place, before=True),
    "with a line after it": lambda text, place: _with_neighbour(text, place, before=False),
    "a line to delete": lambda text, place: (place.old, ""),
    "a line to add": lambda text, place: (place.old, place.old + "added 🎈\n"),
    "with an empty line before it": lambda text, place: ("\n" + place.old, "\n" + place.new) if place.new else None,
}

REFUSED: dict[str, Quote] = {
    "an older version": _search_only(_one_word_off),
    "with three dots": _search_only(_elided),
    "in a fence": _search_only(_in_fence),
    "in capitals": _search_only(str.upper),
    "the same as before": lambda text, place: (place.old, place.old),
    "nothing": lambda text, place: ("", place.new or "x"),
    "only blanks": lambda text, place: ("  \n", place.new or "x"),
}


def _with_neighbour(text: str, place: Place, before: bool) -> tuple[str, str] | None:
    at = text.index(place.old)
    if before:
        line = text[text.rfind("\n", 0, at - 1) + 1 : at]
        return line + place.old, line + place.new
    end = at + len(place.old)
    line = text[end : text.find("\n", end) + 1]
    return (place.old + line, place.new + line) if line.strip() else None


def _meant(text: str, place: Place, search: str, replace: str, manner: str) -> str:
    if manner == "a line to delete":
        return text.replace(place.old, "", 1)
    if manner == "a line to add":
        return text.replace(place.old, place.old + "added 🎈\n", 1)
    return text.replace(place.old, place.new, 1)


AMBIGUOUS = [
    ("python", "self.values", "self.items"),
    ("python", "        with open(self.path", "        with open(self.name"),
    ("javascript", "return html`<", "return svg`<"),
    ("markdown", "- Buy", "- Sell"),
    ("markdown", "##", "###"),
    ("csv", ",", ";"),
    ("html", "<li>", "<li hidden>"),
    ("svg", 'fill="', 'class="'),
    ("mermaid", "participant", "actor"),
    ("yaml", "    environment:\n", "    env:\n"),
    ("yaml", "image:", "picture:"),
    ("python", '"', "'"),
]
"""What occurs several times."""

WITHIN_A_LINE = [
    ("python", "one per line", "one for each line"),
    ("python", "sys.argv[1]", "sys.argv[-1]"),
    ("python", "🎉", "🎊🎊"),
    ("javascript", "cache.get(key)", "cache.get(key.trim())"),
    ("javascript", '?? "-"', '?? "…"'),
    ("markdown", "1,200", "1,350"),
    ("markdown", "(blue, not green)", "(green)"),
    ("markdown", "👩‍🍳", "🧑‍🍳"),
    ("markdown", "Ask Łukasz", "Ask Łukasz and Zoë"),
    ("csv", "O'Brien, Pat", "O’Brien, Pat"),
    ("csv", "北京", "上海"),
    ("html", "Bikes &amp; parts", "Bikes"),
    ("svg", "0 0 120 80", "0 0 240 160"),
    ("svg", "Höhe → 20", "Höhe → 2"),
    ("mermaid", "Hello, B!", "Hello, Bob 👋"),
    ("yaml", "nginx:1.27", "nginx:1.29"),
]


def cases() -> Iterator[Case]:
    for name, (text, places) in TEXTS.items():
        for number, place in enumerate(places):
            for manner, quote in (AS_MEANT | REFUSED).items():
                if (quoted := quote(text, place)) is None:
                    continue
                meant = _meant(text, place, *quoted, manner) if manner in AS_MEANT else None
                yield Case(f"{name} {number}, {manner}", text, *quoted, meant)
    for name, search, replace in AMBIGUOUS:
        yield Case(f"{name}, {search!r} several times", TEXTS[name][0], search, replace, None)
    for name, search, replace in WITHIN_A_LINE:
        text = TEXTS[name][0]
        found = search if search in text else search.replace('"-"', '"—"')
        yield Case(f"{name}, {search!r} in a line", text, search, replace, text.replace(found, replace, 1))
    for number in (1, 3000, 5999):
        line = f"end of {number}\n"
        meant = HUGE.replace(f" {line}", f" the end of {number}\n")
        yield Case(f"huge, line {number}", HUGE, f" {line}", f" the end of {number}\n", meant)
