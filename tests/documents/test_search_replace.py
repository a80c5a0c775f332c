"""Edits in the manner of real models: each is made as it was meant, or refused with advice for the model."""

import unicodedata
from collections.abc import Callable
from typing import NamedTuple

import pytest

from chat.documents.search_replace import EditFailed, NotFound, find_replacement

PYTHON = '''import math


class Circle:
    """A circle."""

    def __init__(self, radius):
        self.radius = radius

    def area(self):
        # Don't round here
        return math.pi * self.radius**2

    def __str__(self):
        return f"A circle \u2013 {self.radius}"


class Square:
    def __init__(self, side):
        self.side = side

    def area(self):
        return self.side**2
'''
MARKDOWN = """# Größe und Gewicht

The *café* is open "daily", isn't it? 😀

| day | hours |
|-----|-------|
| Mon | 9\u201317  |
| Tue | 9\u201317  |

- tea
- coffee 👨‍👩‍👧
- tea

Last line without a break"""
CSV = "name,price\nTea,2.50\nCoffee,3.00\nCake,4.20\n"
HTML = """<ul>
\t<li class="a">One</li>
\t<li class="b">Two</li>
\t<li>
\t\t<p>Three</p>
\t</li>
</ul>
"""


class Meant(NamedTuple):
    """An edit whose search is exact, and occurs once."""

    text: str
    search: str
    replace: str


MEANT = [
    Meant(PYTHON, "        return math.pi * self.radius**2", "        return math.pi * self.radius * self.radius"),
    Meant(
        PYTHON,
        "    def __init__(self, radius):\n        self.radius = radius",
        "    def __init__(self, r):\n        self.radius = r",
    ),
    Meant(PYTHON, "        # Don't round here\n        return math.pi * self.radius**2", "        return 3"),
    Meant(PYTHON, '        return f"A circle \u2013 {self.radius}"', '        return "A circle"'),
    Meant(
        PYTHON,
        "    def area(self):\n        return self.side**2",
        '    def area(self):\n        return self.side**2\n\n    def name(self):\n        return "square"',
    ),
    Meant(PYTHON, "import math", "import cmath\nimport math"),
    Meant(PYTHON, "class Square:\n    def __init__(self, side):", "class Square:\n    def __init__(self, side=1):"),
    Meant(MARKDOWN, "# Größe und Gewicht", "# Größe"),
    Meant(MARKDOWN, 'The *café* is open "daily", isn\'t it? 😀', "The *café* is closed. 😢"),
    Meant(MARKDOWN, "| Mon | 9\u201317  |", "| Mon | 10\u201318 |"),
    Meant(MARKDOWN, "- tea\n- coffee 👨‍👩‍👧", "- green tea\n- coffee"),
    Meant(MARKDOWN, "- coffee 👨‍👩‍👧\n- tea", "- coffee"),
    Meant(MARKDOWN, "Last line without a break", "Last line\n"),
    Meant(CSV, "Coffee,3.00", "Coffee,3.10\nWater,0.00"),
    Meant(CSV, "Tea,2.50\n", ""),
    Meant(CSV, "name,price", "name;price"),
    Meant(HTML, '\t<li class="b">Two</li>', '\t<li class="c">Two</li>'),
    Meant(HTML, "\t\t<p>Three</p>", "\t\t<p>Three</p>\n\t\t<p>Four</p>"),
    Meant(HTML, "\t<li>\n\t\t<p>Three</p>\n\t</li>", "\t<li>Three</li>"),
]


def curl(text: str) -> str:
    return text.replace("'", "\u2019").replace('"', "\u201d")


def flatten(text: str) -> str:
    return text.replace("\u2013", "-").replace("\u00a0", " ")


HABITS: dict[str, Callable[[str], str]] = {
    "exact": lambda text: text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r"),
    "other dashes": flatten,
    "curly quotation marks": curl,
    "hard blanks": lambda text: text.replace(" ", "\u00a0"),
    "blanks at the ends": lambda text: "\n".join(f"{line}  " for line in text.split("\n")),
    "decomposed letters": lambda text: unicodedata.normalize("NFD", text),
    "blank lines around": lambda text: f"\n{text}\n\n",
    "one blank line below": lambda text: f"{text}\n",
}
"""How models quote what they have read."""


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("meant", MEANT, ids=lambda meant: meant.search.split("\n")[0].strip())
def test_an_edit_is_made_as_it_was_meant(meant: Meant, habit: str) -> None:
    assert meant.text.count(meant.search) == 1
    expected = meant.text.replace(meant.search, meant.replace)
    search = HABITS[habit](meant.search)
    around = habit in ("blank lines around", "one blank line below")
    replace = HABITS[habit](meant.replace) if around else meant.replace
    made = find_replacement(meant.text, search, replace).apply(meant.text)
    assert made == expected or (around and made.split() == expected.split())


@pytest.mark.parametrize("shift", ["", "  ", "    ", "\t"])
@pytest.mark.parametrize("meant", [meant for meant in MEANT if meant.text in (PYTHON, HTML)])
def test_another_indentation_becomes_that_of_the_text(meant: Meant, shift: str) -> None:
    least = min(len(line) - len(line.lstrip()) for line in meant.search.split("\n") if line.strip())

    def reindent(text: str) -> str:
        return "\n".join(shift + line[least:] if line.strip() else line for line in text.split("\n"))

    search, replace = reindent(meant.search), reindent(meant.replace)
    literal = search in meant.text  # then it is no other indentation
    made = find_replacement(meant.text, search, replace).apply(meant.text)
    assert made == (meant.text.replace(search, replace) if literal else meant.text.replace(meant.search, meant.replace))


@pytest.mark.parametrize(
    ("text", "search", "says"),
    [
        (PYTHON, "    def area(self):", ["2 places", "10: ", "22: "]),
        (PYTHON, "def area(self): ", ["2 places"]),
        (PYTHON, "self", ["places", "..."]),
        (MARKDOWN, "- tea", ["2 places", "10: - tea", "12: - tea"]),
        (MARKDOWN, "  - tea", ["2 places"]),
        (CSV, ",", ["places", "1: name,price"]),
        ("aaaa", "aa", ["3 places"]),
        (PYTHON, "        return math.pi * self.diameter**2", ["matches nothing", "12: ", "self.radius**2"]),
        (PYTHON, "def area(self):\n    return self.side * self.side", ["matches nothing", "def area(self):"]),
        (MARKDOWN, "| Wed | 9\u201317  |", ["matches nothing", "9\u201317"]),
        (CSV, "Coffee,2.00", ["matches nothing", "3: Coffee,3.00"]),
        (CSV, "nothing like it", ["Read"]),
        (CSV, "", ["search is empty"]),
        (CSV, " \n", ["search is empty"]),
        (CSV, "Tea", ["the same"]),
    ],
)
def test_what_has_no_single_place_is_refused_with_advice(text: str, search: str, says: list[str]) -> None:
    with pytest.raises(EditFailed) as caught:
        find_replacement(text, search, "Tea" if search == "Tea" else "something else")
    for part in says:
        assert part in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_inconsistent_indentation_is_not_guessed() -> None:
    text = "if a:\n    if b:\n        c()\n"
    with pytest.raises(NotFound):
        find_replacement(text, "if a:\nif b:\nc()", "d()")


def test_an_empty_document_takes_its_first_text() -> None:
    assert find_replacement("", "", "one\r\ntwo").apply("") == "one\ntwo"


def test_a_replacement_leaves_out_what_stays() -> None:
    replacement = find_replacement(PYTHON, "        self.side = side", "        self.side = abs(side)")
    trimmed = replacement.trim(PYTHON)
    assert trimmed.apply(PYTHON) == replacement.apply(PYTHON)
    assert trimmed.text == "abs(side)"
    assert replacement.trim(PYTHON).start > replacement.start


def test_huge_texts_take_linear_time() -> None:
    """In quadratic time, each of these would take far longer than the suite allows."""
    text = "a b c\n" * 60_000
    with pytest.raises(NotFound):
        find_replacement(text, "a b c\n" * 30_000 + "d", "x")
    with pytest.raises(EditFailed):
        find_replacement("a" * 400_000, "a" * 200_000, "x")
    with pytest.raises(NotFound):
        find_replacement("a" * 400_000, "a" * 200_000 + "b", "x")
