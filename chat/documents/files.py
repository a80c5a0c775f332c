"""Documents as files: name, type, and content of a download."""

import re
from collections.abc import Iterator
from typing import NamedTuple

EXTENSIONS = {
    "markdown": ("md", "text/markdown"),
    "csv": ("csv", "text/csv"),
    "html": ("html", "text/html"),
    "svg": ("svg", "image/svg+xml"),
    "mermaid": ("mmd", "text/plain"),
}
"""Of each kind but code."""

LANGUAGES = {
    "bash": "sh",
    "c": "c",
    "c#": "cs",
    "c++": "cpp",
    "cpp": "cpp",
    "csharp": "cs",
    "css": "css",
    "go": "go",
    "haskell": "hs",
    "html": "html",
    "java": "java",
    "javascript": "js",
    "js": "js",
    "json": "json",
    "jsx": "jsx",
    "kotlin": "kt",
    "latex": "tex",
    "lua": "lua",
    "markdown": "md",
    "perl": "pl",
    "php": "php",
    "python": "py",
    "r": "r",
    "ruby": "rb",
    "rust": "rs",
    "scala": "scala",
    "sh": "sh",
    "shell": "sh",
    "sql": "sql",
    "swift": "swift",
    "toml": "toml",
    "ts": "ts",
    "tsx": "tsx",
    "typescript": "ts",
    "xml": "xml",
    "yaml": "yaml",
}
"""The extensions of files in these languages; those of others are `txt`."""

_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]+')
"""What no file system takes, and what turns the direction of a text: `report\u202efdp.exe` would look like a PDF."""

_FORMULA = re.compile(r"\"*[ \t]*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""Some spreadsheets take the wide characters of East Asia for the same."""

_NUMBER = re.compile(r"\"*[ \t]*[+-][0-9][0-9.' ]*%?\"?(?=[,;\t\n]|$)")
"""One that another separator would end as well: no spreadsheet evaluates `-1,cmd`."""


class File(NamedTuple):
    name: str
    type: str
    content: bytes


def make_file(title: str, kind: str, language: str, text: str) -> File:
    """A document as a file that a person can save and open."""
    extension, media = EXTENSIONS.get(kind) or (LANGUAGES.get(language.lower(), "txt"), "text/plain")
    stem = " ".join(_NOT_IN_NAMES.sub(" ", title).split()).strip(" .")[:150] or "document"
    name = stem if stem.lower().endswith(f".{extension}") else f"{stem}.{extension}"
    content = escape_formulas(text) if kind == "csv" else text
    return File(name, f"{media}; charset=utf-8", content.encode())


def escape_formulas(text: str) -> str:
    """CSV whose cells no spreadsheet takes for formulas: an apostrophe goes before what begins like one, but for
    numbers.

    Spreadsheets separate cells by commas, semicolons, or tabs, as their country does. So a cell is whatever is one with
    any of these: quotes that enclose a formula for one of them may not do so for another.

    Source: OWASP, "CSV Injection".
    """
    places = sorted({place for separator in ",;\t" for place in _formulas(text, separator)})
    parts = [text[start:stop] for start, stop in zip([0, *places], [*places, len(text)], strict=True)]
    return "'".join(parts)


def _formulas(text: str, separator: str) -> Iterator[int]:
    """Where cells begin like formulas, after their quotes."""
    cell = re.compile(rf'"(?:[^"]|"")*+"?[^{separator}\n]*+|[^{separator}\n]*+')
    place = 0
    while place < len(text):
        found = cell.match(text, place)
        assert found is not None  # it matches everything
        if (formula := _FORMULA.match(found[0])) and not _NUMBER.match(found[0]):
            yield place + formula.end() - 1
        place = found.end() + 1
