"""Composed change sets say who inserted what, as applying one after the other does."""

from hypothesis import given
from hypothesis import strategies as st

from chat.documents.changesets import ChangeSet
from chat.documents.compose import DELETED, Step, compose_all, steps_of

Marked = list[tuple[str, int | None]]


def apply_marked(changes: ChangeSet, number: int, text: Marked) -> Marked:
    made: Marked = []
    place = 0
    for count, inserted in changes.sections:
        made += text[place : place + count] if inserted is None else [(char, number) for char in inserted]
        place += count
    return made


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, list[ChangeSet]]:
    text = first = draw(st.text("ab\n", max_size=6))
    log = []
    for _ in range(draw(st.integers(0, 7))):
        places = sorted(draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=4)))
        pairs = list(zip(places[::2], places[1::2], strict=False))
        changes = ChangeSet.replace(len(text), [(a, b, draw(st.text("xyz\n", max_size=3))) for a, b in pairs])
        log.append(changes)
        text = changes.apply(text)
    return first, log


@given(histories())
def test_all_changes_as_one_insert_and_delete_the_same(history: tuple[str, list[ChangeSet]]) -> None:
    first, log = history
    marked: Marked = [(char, None) for char in first]
    for number, changes in enumerate(log, 1):
        marked = apply_marked(changes, number, marked)
    steps = compose_all([steps_of(changes, number) for number, changes in enumerate(log, 1)], len(first))
    assert sum(old for old, _, _ in steps) == len(first)
    assert [by for _, new, by in steps for _ in range(new)] == [by for _, by in marked]
    assert kept_of(steps, first) == [char for char, by in marked if by is None]


def kept_of(steps: list[Step], first: str) -> list[str]:
    kept, place = "", 0
    for old, _, by in steps:
        kept += first[place : place + old] if by is None else ""
        place += old
    return list(kept)


def test_what_was_inserted_and_deleted_leaves_nothing() -> None:
    log = [ChangeSet.parse([3, [0, "new"], 2]), ChangeSet.parse([2, [5], 1])]
    assert compose_all([steps_of(each, 7) for each in log], 5) == [(2, 2, None), (2, 0, DELETED), (1, 1, None)]
