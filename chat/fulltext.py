"""Text for a full-text index, parsed queries, and excerpts with the positions of their matches. Knows no database.

The index holds the folded words of a text, each once, without case and accents. So SQLite, PostgreSQL and LIKE find the
same passages, however each treats case, accents and punctuation. Of scripts without spaces, the index holds single
characters (Chinese, Japanese) or pairs of letters (Thai, Lao, Khmer, Burmese). A letter is what Unicode calls a letter,
a number, or a mark: in many scripts, vowels are marks.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import filterfalse

import regex  # type: ignore[import-untyped]

from .graphemes import cluster_at, cut

MAX_QUERY_CHARS = 200
MAX_WORDS = 10
MAX_WORD_CHARS = 64
MIN_PREFIX_CHARS = 3
MAX_INDEXED_CHARS = 200_000
"""PostgreSQL refuses a tsvector of more than a megabyte."""

FOLDED_AT_ONCE = 64

MAX_GROWTH, MIN_GROWTH = 4, 100
"""A folded text has at most MAX_GROWTH times the characters, and MIN_GROWTH more. In Korean it has three times as many;
one Arabic ligature becomes 18, but nobody writes a text of nothing else.
"""

MAX_EXCERPTED_CHARS = 200_000
EXCERPT_CHARS = 180
LEAD_CHARS = 60
"""How much of the text an excerpt shows before the first match."""

_CHARACTER = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
_UNSPACED = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
_PIECE = re.compile(r".{1,1000}(?!\S)|.{1,1000}", re.DOTALL)
"""Pieces end between words, if there are any."""

_WORD = regex.compile(
    rf"{_CHARACTER}|(?:(?=[\p{{L}}\p{{N}}\p{{M}}]){_UNSPACED})+|(?:(?!{_CHARACTER}|{_UNSPACED})[\p{{L}}\p{{N}}\p{{M}}])+"
)
_RUN = regex.compile(rf"{_UNSPACED}+")
_PAIR = regex.compile("u(0e[0-9a-f]{2}|10[0-9a-f]{2}|17[89a-f][0-9a-f])")


def fold(text: str) -> str:
    """Remove case and accents. The result can be shorter than `text`, or longer within MAX_GROWTH."""
    if text.isascii():
        return text.lower()
    # Piece by piece: to normalize a run of accents takes quadratic time. The result is the same, since an order of
    # accents is all that the characters of a text can change in each other (UAX #15, "Canonical Ordering Algorithm").
    pieces, left = [], MAX_GROWTH * len(text) + MIN_GROWTH
    for start in range(0, len(text), FOLDED_AT_ONCE):
        apart = unicodedata.normalize("NFKD", text[start : start + FOLDED_AT_ONCE].casefold())
        pieces.append("".join(filterfalse(unicodedata.combining, apart))[:left])
        left -= len(pieces[-1])
        if left <= 0:
            break
    return "".join(pieces)


def split_words(text: str) -> list[str]:
    """The folded words of a text, each once."""
    runs = dict.fromkeys(_WORD.findall(fold(text)))
    return list(dict.fromkeys(word for run in runs for word, _ in _words_of(run)))


def _words_of(run: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """The words in what _WORD matches, with their positions: itself, or its pairs of letters. A pair is written as code
    points, because databases do not agree on which of its letters belong to a word.
    """
    if _RUN.match(run):
        for start in range(max(1, len(run) - 1)):
            pair = run[start : start + 2]
            yield "".join(f"u{ord(letter):04x}" for letter in pair), (start, start + len(pair))
    else:
        yield run[:MAX_WORD_CHARS], (0, len(run))


def _as_written(word: str) -> str:
    """The letters of a pair that `_words_of` has written as code points; other words as they are."""
    return _PAIR.sub(lambda letter: chr(int(letter[1], 16)), word) if _PAIR.match(word) else word


def make_index_text(text: str) -> str:
    """What the index stores for a text: its words, separated by spaces. Of a very long text, those at the beginning."""
    return " ".join(split_words(text[:MAX_INDEXED_CHARS]))[:MAX_INDEXED_CHARS]


def parse_query(query: str) -> list[str]:
    """The words that a passage must all contain, as whole words or as prefixes (`is_prefix`)."""
    return split_words(query[:MAX_QUERY_CHARS])[:MAX_WORDS]


def is_prefix(word: str) -> bool:
    """True if a query word also matches longer words. Shorter ones do not: any two letters match half of all texts."""
    return len(word) >= MIN_PREFIX_CHARS


_MARKS = [
    (re.compile(r"^[ \t]*(?:```|~~~).*$|^[ \t|:-]+$", re.MULTILINE), ""),
    (re.compile(r"!?\[([^][\n]*)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:[ \t]+\"[^\"\n]*\")?\)"), r"\1"),
    (re.compile(r"^[ \t]*(?:>[ \t]*)+|^[ \t]*(?:#{1,6}|[-+*])[ \t]+", re.MULTILINE), ""),
    (re.compile(r"</?(?:br|sub|sup|kbd|details|summary)[ \t]*/?>|\[\^[^][\s]*\]:?", re.IGNORECASE), " "),
    (re.compile(r"\*+|`+|~~|\$\$|(?<!\w)_+|(?<!_)_+(?!\w)"), ""),
    (re.compile(r"(?:(?<![ \t])[ \t]+)?\|[ \t]*"), " "),
]
"""Each pattern stops where a match of its own could begin, so that all take linear time."""


def strip_markdown(text: str) -> str:
    """Markdown without its marks, as `plainText` of the page (ui/announcer.js) reads it out."""
    text = text[:MAX_EXCERPTED_CHARS]
    for mark, instead in _MARKS:
        text = mark.sub(instead, text)
    return text.strip()


def make_excerpt(text: str, wanted: Iterable[str]) -> tuple[str, list[tuple[int, int]]]:
    """The part of `text` around the first match, and the positions of its matches as [start, end) in characters."""
    text = text[:MAX_EXCERPTED_CHARS]
    found = _find_first_matches(text, tuple(wanted))
    start = max(0, found[0][0] - LEAD_CHARS) if found else 0
    if start:
        blank = text.find(" ", start, found[0][0])
        start = blank + 1 if blank >= 0 else cluster_at(text, start)[0]
    end = start + len(cut(text[start:], EXCERPT_CHARS))
    before, after = "…" if start else "", "…" if end < len(text) else ""
    part = before + re.sub(r"\s", " ", text[start:end]) + after
    shift = len(before) - start
    whole = [(cluster_at(text, a)[0], cluster_at(text, b - 1)[1]) for a, b in found if b <= end]
    return part, [(a + shift, b + shift) for a, b in whole]


def _find_first_matches(text: str, wanted: tuple[str, ...]) -> list[tuple[int, int]]:
    """The first match, and those in the EXCERPT_CHARS after it.

    Positions need every character folded by itself, which is slow, so only a piece that contains a match is processed.
    """
    needles = [_as_written(word) for word in wanted]
    for piece in _PIECE.finditer(text):
        folded = fold(piece[0])
        if any(needle in folded for needle in needles) and any(_match(run, wanted) for run in _WORD.findall(folded)):
            start = piece.start()
            if found := _find_matches(text[start : piece.end() + EXCERPT_CHARS], wanted):
                return [(start + a, start + b) for a, b in found]
    return []


def _match(run: str, wanted: tuple[str, ...]) -> list[tuple[int, int]]:
    """Where words of what _WORD matches begin with one of `wanted`. Pairs of letters that overlap are one match."""
    found: list[tuple[int, int]] = []
    pairs = _RUN.match(run) is not None
    for word, (start, end) in _words_of(run):
        length = max(
            (len(each) for each in wanted if word == each or (is_prefix(each) and word.startswith(each))), default=0
        )
        if not length:
            continue
        a, b = (start, end) if pairs else (0, length)
        if found and a < found[-1][1]:
            a = found.pop()[0]
        found.append((a, b))
    return found


def _find_matches(text: str, wanted: tuple[str, ...]) -> list[tuple[int, int]]:
    """The positions in `text` at which its words begin with one of `wanted`."""
    if text.isascii():
        folded, places = text.lower(), None
    else:
        pieces = [(piece, place) for place, char in enumerate(text) for piece in fold(char)]
        folded, places = "".join(piece for piece, _ in pieces), [place for _, place in pieces]
    found = []
    for run in _WORD.finditer(folded):
        for start, end in _match(run[0], wanted):
            a, b = run.start() + start, run.start() + end
            found.append((a, b) if places is None else (places[a], places[b - 1] + 1))
    return list(dict.fromkeys(found))  # a ligature can hold several words
