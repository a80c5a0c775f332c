"""Compose change sets: one that does what two do, one after the other, and knows who inserted what.

It serves `blame`: the change sets of a log are composed in pairs, pairs of pairs, and so on. That takes time in
proportion to their sections times the logarithm of their number, however long the text is.
"""

from collections.abc import Sequence

from .changesets import ChangeSet, units

Step = tuple[int, int, int | None]
"""Takes so many units of the old text, and makes so many of the new one. They are inserted by the change with this
number, which is at least 1; None: they are the old ones, kept.
"""

DELETED = 0
"""The number of a step that only deletes: it does not matter who did."""


def steps_of(changes: ChangeSet, number: int) -> list[Step]:
    """A change set as steps. Texts do not matter here, only their lengths."""
    return [(count, count, None) if text is None else (count, units(text), number) for count, text in changes.sections]


def compose_all(changes: Sequence[list[Step]], length: int) -> list[Step]:
    """All changes, in order, as one. `length` is that of the first text, if there are no changes."""
    level = list(changes) or [[(length, length, None)]]
    while len(level) > 1:
        pairs = [compose(level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)]
        level = pairs + level[len(level) // 2 * 2 :]
    return level[0]


def compose(first: list[Step], second: list[Step]) -> list[Step]:
    """The change that does what `first` does, and then `second`."""
    made: list[Step] = []
    rest = iter(first)
    old, new, by = 0, 0, None  # what is left of the current step of `first`
    for taken, inserted, number in second:
        if number is not None and inserted:
            _add(made, 0, inserted, number)
        while taken:
            if not new:
                _add(made, old, 0, DELETED)
                old, new, by = next(rest)
                continue
            part = min(taken, new)
            if number is None:
                _add(made, part if by is None else 0, part, by)
            elif by is None:  # what `first` has inserted is gone without a trace
                _add(made, part, 0, DELETED)
            if by is None:
                old -= part
            new -= part
            taken -= part
    _add(made, old, 0, DELETED)
    for left in rest:
        _add(made, left[0], 0, DELETED)
    return made


def _add(made: list[Step], old: int, new: int, by: int | None) -> None:
    if not old and not new:
        return
    if made:
        last_old, last_new, last_by = made[-1]
        if by == last_by:
            made[-1] = (last_old + old, last_new + new, by)
            return
    made.append((old, new, by))
