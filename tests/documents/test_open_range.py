"""An agent's open range moves with the text around it, and nobody else changes it."""

import random

import pytest

from chat.documents.changesets import ChangeSet
from chat.documents.open_range import OpenRange

TEXT = "before[writtenold]after"
OPENED = OpenRange(TEXT.index("["), TEXT.index("old"), TEXT.index("]") + 1)


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ([[0, "zero "], 23], 5),
        ([[3], 20], -3),
        ([6, [0, "x"], 17], 1),  # at its beginning: outside
        ([18, [0, "x"], 5], 0),  # at its end: outside
        ([[6, "x"], 17], -5),
        ([18, [5]], 0),
        ([[2], 16, [0, "more"], 5], -2),
        ([7, [0, "x"], 16], None),
        ([17, [0, "x"], 6], None),
        ([5, [2], 16], None),
        ([17, [3], 3], None),
        ([6, [12], 5], None),  # all of it
        ([[23]], None),
        ([14, [3, "new"], 6], None),
    ],
)
def test_changes_around_it_move_it_and_changes_inside_are_refused(changes: list[object], moved: int | None) -> None:
    changed = ChangeSet.parse(changes)
    found = OPENED.map(changed)
    if moved is None:
        assert found is None
        return
    assert found == OpenRange(OPENED.start + moved, OPENED.at + moved, OPENED.end + moved)
    assert changed.apply(TEXT)[found.start : found.end] == TEXT[OPENED.start : OPENED.end]


def test_an_empty_range_moves_too() -> None:
    empty = OpenRange(6, 6, 6)
    assert empty.map(ChangeSet.parse([6, [0, "ab"], 17])) == OpenRange(8, 8, 8)
    assert empty.map(ChangeSet.parse([4, [4], 15])) is None
    assert empty.grow(3) == OpenRange(6, 9, 9)
    assert empty.grow(3).written == 3


def test_whatever_is_changed_around_it_its_text_stays_the_same() -> None:
    chance = random.Random(1)
    for _ in range(2000):
        text = "".join(chance.choice("ab😀") for _ in range(chance.randint(0, 12)))
        length = sum(2 if letter == "😀" else 1 for letter in text)
        places = [0]
        for letter in text:
            places.append(places[-1] + (2 if letter == "😀" else 1))
        start, at, end = sorted(chance.choices(places, k=3))
        a, b = sorted(chance.choices(places, k=2))
        inserted = chance.choice(["", "x", "yz😀"])
        changes = ChangeSet.replace(length, [(a, b, inserted)])
        moved = OpenRange(start, at, end).map(changes)
        inside = b > start and a < end if b > a else bool(inserted) and start < a < end
        assert (moved is None) == inside, (text, start, at, end, changes)
        if moved is not None:
            after = changes.apply(text).encode("utf-16-le")
            assert after[2 * moved.start : 2 * moved.end] == text.encode("utf-16-le")[2 * start : 2 * end]
