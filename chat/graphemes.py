"""Where a text may be cut: between grapheme clusters (UAX #29), so that no emoji, flag, or accented letter breaks.

Also how much of a text a browser can show in one stretch (as in `static/nous_chat/i18n/graphemes.js`).
"""

from collections.abc import Iterator

import regex  # type: ignore[import-untyped]

PIECE_CHARS = 4000
"""How many characters a browser lays out together: in some scripts the time grows with the square of their number."""

MAX_CLUSTER = 256
"""How far, in characters, to look for the beginning and the end of a cluster. Nothing that people write is as long, but
in a line of flags the pattern looks back to the first one for each of them.
"""

_CLUSTER = regex.compile(r"\X")
_MARK = r"[\p{M}\p{Cf}\p{Default_Ignorable_Code_Point}\p{Emoji_Modifier}\u0e33\u0eb3]"
"""What a letter can be followed by without end: marks, and the two vowels of Thai and Lao that count as letters."""
_MARKS = regex.compile(f"({_MARK}{{30}}){_MARK}+")


def cut(text: str, limit: int) -> str:
    """The longest beginning of `text` of at most `limit` characters that ends between two clusters.

    A single cluster that is longer than `limit`, or than MAX_CLUSTER, is cut all the same: a letter can carry any
    number of accents.
    """
    if len(text) <= limit:
        return text
    start = _start_before(text, limit)
    end = start
    for cluster in _CLUSTER.finditer(text[start : limit + 1]):
        if start + cluster.end() > limit:
            break
        end = start + cluster.end()
    return text[: end or limit]


def cluster_at(text: str, index: int) -> tuple[int, int]:
    """The start and end of the cluster that the character at `index` belongs to."""
    start = _start_before(text, index)
    for cluster in _CLUSTER.finditer(text[start : index + MAX_CLUSTER]):
        if start + cluster.end() > index:
            return start + cluster.start(), start + cluster.end()
    return index, index


def _start_before(text: str, index: int) -> int:
    """Where to begin to look at clusters: at the last space, which begins one, so that only one word is looked at."""
    return max(text.rfind(" ", 0, index), index - MAX_CLUSTER, 0)


def limit_marks(text: str) -> str:
    """`text` as it is shown: with at most 30 combining marks, joiners, or direction controls in a row.

    Unicode's Stream-Safe Text Format allows as many (UAX #15, section 13). To lay them out, browsers take a time that
    grows with the square of their number. Stored texts keep all of them.
    """
    return str(_MARKS.sub(r"\1", text))


def split_pieces(text: str) -> Iterator[str]:
    """The pieces of a long text, which a browser lays out one by one.

    Each ends after a line, a sentence, or a word in its second half if there is one, else between two clusters.
    """
    start = 0
    while len(text) - start > PIECE_CHARS:
        half = text[start + PIECE_CHARS // 2 : start + PIECE_CHARS]
        ends = (half.rfind(mark) + len(mark) for mark in ("\n", ". ", " ") if mark in half)
        end = next(ends, 0) or len(cut(half, len(half) - 1))
        yield text[start : (start := start + PIECE_CHARS // 2 + end)]
    yield text[start:]
