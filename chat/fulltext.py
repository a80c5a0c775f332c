"""Text for a full-text index, parsed queries, and excerpts with the positions of their matches. Knows no database.

The index holds the folded words of a text, each once, without case and accents. So SQLite, PostgreSQL and LIKE find the
same passages, however each treats case, accents and punctuation. Scripts without spaces are indexed by character.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import filterfalse

MAX_QUERY_CHARS = 200
MAX_WORDS = 10
MAX_WORD_CHARS = 64
MIN_PREFIX_CHARS = 3
MAX_INDEXED_CHARS = 200_000
"""PostgreSQL refuses a tsvector of more than a megabyte."""

MAX_EXCERPTED_CHARS = 200_000
EXCERPT_CHARS = 180
LEAD_CHARS = 60
"""How much of the text an excerpt shows before the first match."""

_CHARACTER = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
_PIECE = re.compile(r".{1,1000}(?!\S)|.{1,1000}", re.DOTALL)
"""Pieces end between words, if there are any."""

_WORD = re.compile(rf"{_CHARACTER}|(?:(?!{_CHARACTER})[^\W_])+")


def fold(text: str) -> str:
    """Remove case and accents. The result can be longer or shorter than `text`."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(filterfalse(unicodedata.combining, apart))


def split_words(text: str) -> list[str]:
    """The folded words of a text, each once."""
    return list(dict.fromkeys(word[:MAX_WORD_CHARS] for word in _WORD.findall(fold(text))))


def make_index_text(text: str) -> str:
    """What the index stores for a text: its words, separated by spaces."""
    return " ".join(split_words(text))[:MAX_INDEXED_CHARS]


def parse_query(query: str) -> list[str]:
    """The words that a passage must all contain, as whole words or as prefixes (`is_prefix`)."""
    return split_words(query[:MAX_QUERY_CHARS])[:MAX_WORDS]


def is_prefix(word: str) -> bool:
    """True if a query word also matches longer words. Shorter ones do not: any two letters match half of all texts."""
    return len(word) >= MIN_PREFIX_CHARS


def make_excerpt(text: str, wanted: Iterable[str]) -> tuple[str, list[tuple[int, int]]]:
    """The part of `text` around the first match, and the positions of its matches as [start, end) in characters."""
    text = text[:MAX_EXCERPTED_CHARS]
    found = _find_first_matches(text, tuple(wanted))
    start = max(0, found[0][0] - LEAD_CHARS) if found else 0
    if start:
        blank = text.find(" ", start, found[0][0])
        start = blank + 1 if blank >= 0 else start
    end = min(len(text), start + EXCERPT_CHARS)
    before, after = "…" if start else "", "…" if end < len(text) else ""
    part = before + re.sub(r"\s", " ", text[start:end]) + after
    shift = len(before) - start
    return part, [(a + shift, b + shift) for a, b in found if b <= end]


def _find_first_matches(text: str, wanted: tuple[str, ...]) -> list[tuple[int, int]]:
    """The first match, and those in the EXCERPT_CHARS after it.

    Positions need every character folded by itself, which is slow, so only a piece that contains a match is processed.
    """
    for piece in _PIECE.finditer(text):
        folded = fold(piece[0])
        if any(word in folded for word in wanted) and any(
            _match_length(word, wanted) for word in _WORD.findall(folded)
        ):
            start = piece.start()
            if found := _find_matches(text[start : piece.end() + EXCERPT_CHARS], wanted):
                return [(start + a, start + b) for a, b in found]
    return []


def _match_length(word: str, wanted: tuple[str, ...]) -> int:
    """How many of the word's first characters match one of the wanted words; 0 if none does."""
    matching = [each for each in wanted if word == each or (is_prefix(each) and word.startswith(each))]
    return max(map(len, matching), default=0)


def _find_matches(text: str, wanted: tuple[str, ...]) -> list[tuple[int, int]]:
    """The positions in `text` at which its words begin with one of `wanted`."""
    if text.isascii():
        folded, places = text.lower(), None
    else:
        pieces = [(piece, place) for place, char in enumerate(text) for piece in fold(char)]
        folded, places = "".join(piece for piece, _ in pieces), [place for _, place in pieces]
    found = []
    for match in _WORD.finditer(folded):
        if length := _match_length(match[0], wanted):
            a, b = match.start(), match.start() + length
            found.append((a, b) if places is None else (places[a], places[b - 1] + 1))
    return found
