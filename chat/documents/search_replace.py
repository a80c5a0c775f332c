"""Search and replace as models ask for it: find the one place in a text that they mean, or say why there is none.

Models quote from memory: with other quotation marks, without blanks at the ends of lines, with another indentation.
What differs only in that is found as well, but only if exactly one place fits. Nothing is ever replaced on a guess.
"""

import difflib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

MAX_LINES_SHOWN = 8
"""How many lines of the text a failure quotes."""

MAX_LINE_CHARS = 160
"""How much of each."""

NOTHING_TO_CHANGE = "The search and the replacement are the same, so there is nothing to change."

_MAX_SEARCH_CHARS = 2000
"""How much of a search, and of each place, is compared to find the nearest text."""

_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u00a0\u2007\u202f\u2009", " "),
    }
)
"""Characters that models write in the place of those that they read. Each is replaced by one character, so that
positions stay the same.
"""


class EditFailed(Exception):
    """There is no single place for an edit. The message tells the model what to do."""


class NotFound(EditFailed):
    """Nothing in the text matches."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """Put `text` in the place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str

    def apply(self, text: str) -> str:
        return text[: self.start] + self.text + text[self.end :]

    def trim(self, text: str) -> "Replacement":
        """The same without what stays at both ends, so that others can write there at the same time."""
        old, new = text[self.start : self.end], self.text
        first = _count_equal(old, new)
        last = _count_equal(old[first:][::-1], new[first:][::-1])
        return Replacement(self.start + first, self.end - last, new[first : len(new) - last])


def _count_equal(one: str, other: str) -> int:
    """How many characters are the same at the beginning of two texts."""
    differing = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def find_replacement(text: str, search: str, replace: str) -> Replacement:
    """What an edit replaces in `text`, whose lines end in a line feed. Raises EditFailed."""
    search, replace = (each.replace("\r\n", "\n").replace("\r", "\n") for each in (search, replace))
    if not search.strip():
        if not text.strip():
            return Replacement(0, len(text), replace)
        raise EditFailed(
            "The search is empty. To add text, search for the line next to its place, and repeat that line in the "
            "replacement."
        )
    if search == replace:
        raise EditFailed(NOTHING_TO_CHANGE)
    for places in (_find_all(text, search), _find_all(text.translate(_TYPOGRAPHY), search.translate(_TYPOGRAPHY))):
        if len(places) == 1:
            return Replacement(places[0], places[0] + len(search), replace)
        if places:
            raise EditFailed(_describe_ambiguous(text, [text.count("\n", 0, place) for place in places]))
    return _find_lines(text, search, replace)


def find_place(text: str, search: str) -> tuple[int, int] | None:
    """Where an edit begins and ends whose replacement is not known yet. None if it depends on the replacement, or if
    there is no such place.
    """
    search = search.replace("\r\n", "\n").replace("\r", "\n")
    if not search.strip():
        return None
    places = _find_all(text, search) or _find_all(text.translate(_TYPOGRAPHY), search.translate(_TYPOGRAPHY))
    return (places[0], places[0] + len(search)) if len(places) == 1 else None


def _find_all(text: str, search: str) -> list[int]:
    """The positions at which a text occurs, also if they overlap."""
    places: list[int] = []
    at = text.find(search)
    while at >= 0 and len(places) <= 1000:
        places.append(at)
        at = text.find(search, at + 1)
    return places


def _find_lines(text: str, search: str, replace: str) -> Replacement:
    """Find whole lines that differ from those of the search only in blanks or in the form of letters."""
    lines, wanted = text.split("\n"), search.split("\n")
    trailing = not wanted[-1].strip()  # the search ends with a line break
    while wanted and not wanted[-1].strip():
        wanted.pop()
    skipped = 0
    while not wanted[skipped].strip():
        skipped += 1
    wanted = wanted[skipped:]
    places: list[int] = []
    for key in (_without_trailing_blanks, _without_blanks):
        keys = [key(line) for line in lines]
        places = list(_find_sequence(keys, [key(line) for line in wanted]))
        if key is _without_blanks:
            shifts = {place: _find_shift(lines[place : place + len(wanted)], wanted) for place in places}
            if len(places) == 1 and (shift := shifts[places[0]]) is not None:
                replace = "\n".join(shift(line) for line in replace.split("\n"))
                break
            if len(places) > 1:
                raise EditFailed(_describe_ambiguous(text, places))
            raise NotFound(_describe_nearest(lines, wanted))
        if len(places) == 1:
            break
        if places:
            raise EditFailed(_describe_ambiguous(text, places))
    first = places[0]
    start = sum(len(line) + 1 for line in lines[:first])
    end = start + sum(len(line) + 1 for line in lines[first : first + len(wanted)]) - 1
    while skipped and replace.startswith("\n"):  # blank lines around the search are not part of the place
        skipped, replace = skipped - 1, replace[1:]
    if trailing and not replace:
        return Replacement(start, min(end + 1, len(text)), "")
    return Replacement(start, end, replace.removesuffix("\n") if trailing else replace)


def _without_trailing_blanks(line: str) -> str:
    return unicodedata.normalize("NFC", line.translate(_TYPOGRAPHY)).rstrip()


def _without_blanks(line: str) -> str:
    return _without_trailing_blanks(line).strip()


def _find_sequence(keys: Sequence[str], wanted: Sequence[str]) -> Iterator[int]:
    """The positions at which `wanted` occurs, in linear time: Knuth, Morris, and Pratt."""
    border = [0] * len(wanted)
    length = 0
    for at in range(1, len(wanted)):
        while length and wanted[at] != wanted[length]:
            length = border[length - 1]
        length += wanted[at] == wanted[length]
        border[at] = length
    length = 0
    for at, key in enumerate(keys):
        while length and (length == len(wanted) or key != wanted[length]):
            length = border[length - 1]
        length += key == wanted[length]
        if length == len(wanted):
            yield at - length + 1


def _find_shift(lines: Sequence[str], wanted: Sequence[str]) -> Callable[[str], str] | None:
    """What gives the replacement the indentation of the text; None if the lines are indented in different ways."""
    pairs = [
        (_indentation(line), _indentation(other)) for line, other in zip(lines, wanted, strict=True) if other.strip()
    ]
    here, there = min(pairs, key=lambda pair: len(pair[1]))
    if any(not b.startswith(there) or a != here + b[len(there) :] for a, b in pairs):
        return None

    def shift(line: str) -> str:
        if line.startswith(there):
            return here + line[len(there) :]
        kept = max(0, len(here) + len(_indentation(line)) - len(there))  # it leaves the block
        return here[:kept] + line.lstrip()

    return lambda line: shift(line) if line.strip() else line


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _describe_ambiguous(text: str, rows: Sequence[int]) -> str:
    lines = text.split("\n")
    distinct = sorted(set(rows))
    return (
        f"The search matches {len(rows)} places. Add lines around the one that you mean, so that it matches only that "
        f"one. The matches begin in:\n{_quote(lines, distinct[:MAX_LINES_SHOWN])}"
        + ("\n..." if len(distinct) > MAX_LINES_SHOWN else "")
    )


def _describe_nearest(lines: Sequence[str], wanted: Sequence[str]) -> str:
    nearest = _find_nearest(lines, wanted)
    if nearest is None:
        return "The search matches nothing, and nothing in the document is like it. Read the document again."
    rows = range(nearest, min(len(lines), nearest + len(wanted)))[:MAX_LINES_SHOWN]
    return f"The search matches nothing. Nearest to it is this text. Copy it exactly:\n{_quote(lines, rows)}"


def _find_nearest(lines: Sequence[str], wanted: Sequence[str]) -> int | None:
    """The line at which the text is most like the search. Only a few places are compared in full: those with the most
    words in common.
    """
    words = Counter(word for line in wanted for word in line.split())
    if not words:
        return None
    shared = [sum(min(count, words[word]) for word, count in Counter(line.split()).items()) for line in lines]
    score, scores = 0, []
    for at in range(len(lines) + len(wanted) - 1):
        score += shared[at] if at < len(lines) else 0
        if at >= len(wanted) - 1:
            scores.append((score, at - len(wanted) + 1))
            score -= shared[at - len(wanted) + 1]
    best, found = 0.3, None
    search = "\n".join(wanted)[:_MAX_SEARCH_CHARS]
    for _score, at in sorted(scores, key=lambda each: (-each[0], each[1]))[:5]:
        place = "\n".join(lines[at : at + len(wanted)])[:_MAX_SEARCH_CHARS]
        ratio = difflib.SequenceMatcher(None, search, place, autojunk=False).ratio()
        if ratio > best:
            best, found = ratio, at
    return found


def _quote(lines: Sequence[str], rows: Sequence[int]) -> str:
    return "\n".join(f"{row + 1}: {_shorten(lines[row])}" for row in rows)


def _shorten(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARS else line[: MAX_LINE_CHARS - 1] + "…"
