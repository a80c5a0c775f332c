"""Text in, words for an index out; a query and a text in, an excerpt with the places of its matches out. No database.

What is indexed is folded: the words of a text, each once, without case and accents. So SQLite, PostgreSQL and LIKE find
the same, whatever they think of case, accents and punctuation. Scripts that write without blanks are indexed by the
character.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import filterfalse

MAX_QUERY_CHARS = 200
MAX_WORDS = 10
MAX_WORD_CHARS = 64
MIN_BEGINNING_CHARS = 3
MAX_INDEXED_CHARS = 200_000
"""PostgreSQL refuses a tsvector of a megabyte."""

MAX_EXCERPTED_CHARS = 200_000
EXCERPT_CHARS = 180
LEAD_CHARS = 60
"""How much stands before the first match."""

_CHARACTER = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
_PIECE = re.compile(r".{1,1000}(?!\S)|.{1,1000}", re.DOTALL)
"""It ends between words, where there are any."""

_WORD = re.compile(rf"{_CHARACTER}|(?:(?!{_CHARACTER})[^\W_])+")


def fold(text: str) -> str:
    """Without case and accents. Its length may differ from that of `text`."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(filterfalse(unicodedata.combining, apart))


def words(text: str) -> list[str]:
    """Each word once, folded."""
    return list(dict.fromkeys(word[:MAX_WORD_CHARS] for word in _WORD.findall(fold(text))))


def indexed(text: str) -> str:
    """What the index holds of a text: its words between blanks."""
    return " ".join(words(text))[:MAX_INDEXED_CHARS]


def query_words(query: str) -> list[str]:
    """What a passage has to hold, all of it: words that begin like these, or that are these (`begins`)."""
    return words(query[:MAX_QUERY_CHARS])[:MAX_WORDS]


def begins(word: str) -> bool:
    """Whether it may be the beginning of a word. Half of all texts have some word that begins with any two letters."""
    return len(word) >= MIN_BEGINNING_CHARS


def excerpt(text: str, wanted: Iterable[str]) -> tuple[str, list[tuple[int, int]]]:
    """A part of `text` around the first match, and where in it the matches are, [start, end) in characters."""
    text = text[:MAX_EXCERPTED_CHARS]
    found = _first_matches(text, tuple(wanted))
    start = max(0, found[0][0] - LEAD_CHARS) if found else 0
    if start:
        blank = text.find(" ", start, found[0][0])
        start = blank + 1 if blank >= 0 else start
    end = min(len(text), start + EXCERPT_CHARS)
    before, after = "…" if start else "", "…" if end < len(text) else ""
    part = before + re.sub(r"\s", " ", text[start:end]) + after
    shift = len(before) - start
    return part, [(a + shift, b + shift) for a, b in found if b <= end]


def _first_matches(text: str, wanted: tuple[str, ...]) -> list[tuple[int, int]]:
    """The first match, and those in the EXCERPT_CHARS after it. To know where a match is, each character has to be
    folded alone, which is slow: that is done where there is one.
    """
    for piece in _PIECE.finditer(text):
        folded = fold(piece[0])
        if any(word in folded for word in wanted) and any(_fits(word, wanted) for word in _WORD.findall(folded)):
            start = piece.start()
            if found := _matches(text[start : piece.end() + EXCERPT_CHARS], wanted):
                return [(start + a, start + b) for a, b in found]
    return []


def _fits(word: str, wanted: tuple[str, ...]) -> int:
    """How many of its first characters are wanted."""
    fitting = [each for each in wanted if word == each or (begins(each) and word.startswith(each))]
    return max(map(len, fitting), default=0)


def _matches(text: str, wanted: tuple[str, ...]) -> list[tuple[int, int]]:
    """Where words of `text` begin with one of `wanted`, in characters."""
    if text.isascii():
        folded, places = text.lower(), None
    else:
        pieces = [(piece, place) for place, char in enumerate(text) for piece in fold(char)]
        folded, places = "".join(piece for piece, _ in pieces), [place for _, place in pieces]
    found = []
    for match in _WORD.finditer(folded):
        if length := _fits(match[0], wanted):
            a, b = match.start(), match.start() + length
            found.append((a, b) if places is None else (places[a], places[b - 1] + 1))
    return found
