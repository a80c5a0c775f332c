"""The difference of two texts as a change set that replaces few lines, and of these only what differs."""

from collections.abc import Iterator

from .changesets import ChangeSet, units

MAX_EDITS = 400
"""If more lines than this differ, all lines between the first and the last difference are replaced."""

MAX_STEPS = 300_000
"""Comparisons of lines, which take 0.1 s. Beyond that, it is the same."""


def diff_texts(old: str, new: str) -> ChangeSet:
    """The change set that makes `new` of `old`."""
    replacements = []
    place, done = 0, 0  # units and characters of `old`
    for start, stop, text in _replaced(old, new):
        place += units(old[done:start])
        end = place + units(old[start:stop])
        replacements.append((place, end, text))
        place, done = end, stop
    return ChangeSet.replace(units(old), replacements)


def _replaced(old: str, new: str) -> Iterator[tuple[int, int, str]]:
    """The parts of `old` that differ, and what `new` has there, in characters."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    at = 0
    place = 0
    for a_start, a_stop, b_start, b_stop in find_hunks(before, after):
        place += sum(map(len, before[at:a_start]))
        gone, come = "".join(before[a_start:a_stop]), "".join(after[b_start:b_stop])
        head = _common(gone, come)
        tail = _common(gone[head:][::-1], come[head:][::-1])
        yield place + head, place + len(gone) - tail, come[head : len(come) - tail]
        place += len(gone)
        at = a_stop


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def find_hunks(a: list[str], b: list[str]) -> list[tuple[int, int, int, int]]:
    """The lines of `a` that are replaced by lines of `b`: from, to, and from, to."""
    head, most = 0, min(len(a), len(b))
    while head < most and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < most - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    a_end, b_end = len(a) - tail, len(b) - tail
    numbers: dict[str, int] = {}
    left = [numbers.setdefault(line, len(numbers)) for line in a[head:a_end]]
    right = [numbers.setdefault(line, len(numbers)) for line in b[head:b_end]]
    matches = _match_lines(left, right)
    hunks, at, bt = [], head, head
    for x, y, length in [*((x + head, y + head, n) for x, y, n in matches), (a_end, b_end, 0)]:
        if x > at or y > bt:
            hunks += _line_by_line((at, x, bt, y))
        at, bt = x + length, y + length
    return hunks


def _line_by_line(hunk: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
    """If as many lines are replaced by as many, each by its own."""
    a_start, a_stop, b_start, b_stop = hunk
    if a_stop - a_start != b_stop - b_start:
        return [hunk]
    return [(a_start + n, a_start + n + 1, b_start + n, b_start + n + 1) for n in range(a_stop - a_start)]


def _match_lines(a: list[int], b: list[int]) -> list[tuple[int, int, int]]:
    """The stretches of lines that both have, in order, as many as possible: from, from, how many. Empty if that takes
    too long.

    Source: E. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986.
    """
    furthest = {1: 0}
    history: list[dict[int, int]] = []
    steps = 0
    for edits in range(min(len(a) + len(b), MAX_EDITS) + 1):
        history.append(dict(furthest))
        for k in range(-edits, edits + 1, 2):
            down = k == -edits or (k != edits and furthest[k - 1] < furthest[k + 1])
            x = start = furthest[k + 1] if down else furthest[k - 1] + 1
            while x < len(a) and x - k < len(b) and a[x] == b[x - k]:
                x += 1
            furthest[k] = x
            steps += x - start + 1
            if x >= len(a) and x - k >= len(b):
                return _trace(history, len(a), len(b))
        if steps > MAX_STEPS:
            break
    return []


def _trace(history: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int, int]]:
    matches = []
    for edits in range(len(history) - 1, -1, -1):
        furthest, k = history[edits], x - y
        down = k == -edits or (k != edits and furthest[k - 1] < furthest[k + 1])
        before = k + 1 if down else k - 1
        from_x = furthest[before]
        begin = from_x if down else from_x + 1
        if edits == 0:
            begin = 0
        if x > begin:
            matches.append((begin, x - k - (x - begin), x - begin))
        x, y = from_x, from_x - before
    return matches[::-1]
