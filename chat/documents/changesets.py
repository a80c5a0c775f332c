"""Change sets: what an edit changed in a document's text, in the JSON form of CodeMirror (`ChangeSet.toJSON`).

A change set covers the whole text from its beginning, as a list of sections:

    7                   keeps 7 units
    [3]                 deletes 3 units
    [3, "one", "two"]   puts two lines in the place of 3 units: "one\\ntwo"

Units are those of UTF-16, as in JavaScript: most characters are one, emoji are two. Everything here takes time in
proportion to the lengths of the text and of the change sets. Source of the rules: `@codemirror/state`, with which
tests/documents/test_changesets.py compares all results.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Section = tuple[int, str | None]
"""How many units, and the text in their place; None keeps them."""


class InvalidChange(ValueError):
    """A change set that is malformed, or does not fit the text. The message is for authors of clients."""


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change of a text of `length` units to one of `new_length`."""

    sections: tuple[Section, ...]

    @classmethod
    def of(cls, sections: Iterable[Section]) -> "ChangeSet":
        """A change set with these sections, without the empty ones, and with neighbours joined."""
        builder = _Builder()
        for count, text in sections:
            builder.add(count, text)
        return builder.build()

    @classmethod
    def replace(cls, length: int, replacements: Iterable[tuple[int, int, str]]) -> "ChangeSet":
        """Replace parts of a text of `length` units: (from, to, text), in order and without overlaps. Raises
        InvalidChange.
        """
        sections: list[Section] = []
        end = 0
        for start, stop, text in replacements:
            if not end <= start <= stop <= length:
                raise InvalidChange(f"The replacement of {start} to {stop} overlaps another, or is beyond the text")
            sections += [(start - end, None), (stop - start, text)]
            end = stop
        return cls.of([*sections, (length - end, None)])

    @classmethod
    def parse(cls, given: object) -> "ChangeSet":
        """A change set from JSON. Raises InvalidChange for anything that is none."""
        if not isinstance(given, list):
            raise InvalidChange("`changes` must be a list of sections")
        return cls.of(map(_parse_section, given))

    def to_json(self) -> list[int | list[int | str]]:
        """The JSON form, equal to what CodeMirror makes of the same change."""
        return [
            count if text is None else [count, *text.split("\n")] if text else [count] for count, text in self.sections
        ]

    @property
    def length(self) -> int:
        """Units of the text that it changes."""
        return sum(count for count, _ in self.sections)

    @property
    def new_length(self) -> int:
        """Units of the text that it makes."""
        return sum(count if text is None else units(text) for count, text in self.sections)

    @property
    def is_empty(self) -> bool:
        """True if it changes nothing."""
        return all(text is None for _, text in self.sections)

    def apply(self, text: str) -> str:
        """The changed text. Raises InvalidChange if the lengths differ, or if it would cut a character in half."""
        wide = b"" if text.isascii() else text.encode("utf-16-le")
        length = len(wide) // 2 or len(text)
        if self.length != length:
            raise InvalidChange(f"`changes` is for a text of {self.length} units, and this one has {length}")
        if length == len(text):  # every character is one unit
            return "".join(self._pieces(text))
        made: list[bytes] = []
        start = 0
        for count, inserted in self.sections:
            if start < length and wide[2 * start + 1] & 0xFC == 0xDC:  # the second half of a pair
                raise InvalidChange("`changes` cuts a character in half: its lengths must count UTF-16 units")
            end = start + count
            made.append(wide[2 * start : 2 * end] if inserted is None else inserted.encode("utf-16-le"))
            start = end
        return b"".join(made).decode("utf-16-le")

    def _pieces(self, text: str) -> Iterator[str]:
        start = 0
        for count, inserted in self.sections:
            yield text[start : start + count] if inserted is None else inserted
            start += count

    def map(self, other: "ChangeSet", before: bool = False) -> "ChangeSet":
        """This change for the text that `other` made, if both were made for the same text.

        What both delete is deleted once; what either inserts stays. If both insert at the same place, `before` puts
        this text first. Raises InvalidChange if the two are for texts of different lengths.
        """
        if self.length != other.length:
            raise InvalidChange("The two change sets are for texts of different lengths")
        mapped = _Builder()
        a, b = _Cursor(self.sections), _Cursor(other.sections)
        inserted = -1  # the section of `a` whose text was added already, although not all of its deletion is
        while not (a.done and b.done):
            if a.text is None and b.text is None and not a.done and not b.done:
                count = min(a.count, b.count)
                mapped.add(count, None)
                a.forward(count)
                b.forward(count)
            elif b.text is not None and (
                a.text is None
                or inserted == a.index
                or (a.is_at_start and (b.count < a.count or (b.count == a.count and not before)))
            ):
                # The other's replacement begins first: keep what it inserted, and leave out what it deleted.
                left = b.count
                mapped.add(units(b.text), None)
                while left:
                    count = min(a.count, left)
                    if a.text is not None and inserted < a.index and a.count <= left:
                        mapped.add(0, a.text)
                        inserted = a.index
                    a.forward(count)
                    left -= count
                b.next()
            else:
                # Our replacement begins first: up to the other's next insertion, delete what is still there.
                assert a.text is not None
                left, deleted = a.count, 0
                while left and not b.done:
                    if b.text is None:
                        count = min(left, b.count)
                        deleted += count
                        left -= count
                        b.forward(count)
                    elif not b.text and b.count < left:
                        left -= b.count
                        b.next()
                    else:
                        break
                mapped.add(deleted, a.text if inserted < a.index else "")
                inserted = a.index
                a.forward(a.count - left)
        return mapped.build()


def units(text: str) -> int:
    """The length of a text in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _parse_section(given: object) -> Section:
    count, lines = (given[0], given[1:]) if isinstance(given, list) and given else (given, None)
    if type(count) is not int or count < 0:
        raise InvalidChange("A section must be a length, or a list of a length and lines")
    if lines is None:
        return count, None
    text = "\n".join(map(_parse_line, lines))
    return count, text


def _parse_line(given: object) -> str:
    if not isinstance(given, str):
        raise InvalidChange("After its length, a section must have only lines")
    if "\n" in given or "\r" in given:
        raise InvalidChange("A line must not contain a line break")
    if "\x00" in given or not _is_valid(given):
        raise InvalidChange("A line must not contain NUL or half a character")
    return given


def _is_valid(text: str) -> bool:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # an unpaired surrogate
            return False
    return True


class _Builder:
    """Gathers sections. Empty ones are left out, and one that continues the last one is joined with it."""

    def __init__(self) -> None:
        self._sections: list[tuple[int, list[str] | None]] = []

    def add(self, count: int, text: str | None) -> None:
        if not count and not text:
            return
        if self._sections:
            last, pieces = self._sections[-1]
            if (pieces is None and text is None) or (pieces == [] and text == ""):
                self._sections[-1] = last + count, pieces
                return
            if pieces and text and not count and not last:
                pieces.append(text)
                return
        self._sections.append((count, None if text is None else [text] if text else []))

    def build(self) -> ChangeSet:
        return ChangeSet(tuple((count, None if text is None else "".join(text)) for count, text in self._sections))


class _Cursor:
    """A place in a change set's sections. `count` is what is left of the current one."""

    def __init__(self, sections: tuple[Section, ...]) -> None:
        self._sections = sections
        self.index = -1
        self.next()

    def next(self) -> None:
        self.index += 1
        self.done = self.index >= len(self._sections)
        self.is_at_start = True
        self.count, self.text = (0, None) if self.done else self._sections[self.index]

    def forward(self, count: int) -> None:
        if count == self.count:
            self.next()
        else:
            self.count -= count
            self.is_at_start = False
