"""A bounded unified diff of two texts, for models."""

from .text_diff import find_hunks

CONTEXT = 2
"""Lines around a change."""

MAX_LINE_CHARS = 300


def make_unified_diff(old: str, new: str, max_chars: int) -> tuple[str, bool]:
    """The differing lines of two texts, and whether that is all: what exceeds `max_chars` is left out."""
    before, after = old.split("\n"), new.split("\n")
    pieces: list[str] = []
    chars = 0
    for group in _group(find_hunks(before, after)):
        piece = "\n".join(_write(group, before, after))
        chars += len(piece) + 1
        if chars > max_chars:
            return "\n".join([*pieces, "..."]), False
        pieces.append(piece)
    return "\n".join(pieces), all(len(line) <= MAX_LINE_CHARS for piece in pieces for line in piece.split("\n"))


Hunk = tuple[int, int, int, int]


def _group(hunks: list[Hunk]) -> list[list[Hunk]]:
    """Hunks whose contexts meet, together."""
    groups: list[list[Hunk]] = []
    for hunk in hunks:
        if groups and hunk[0] - groups[-1][-1][1] <= 2 * CONTEXT:
            groups[-1].append(hunk)
        else:
            groups.append([hunk])
    return groups


def _write(group: list[Hunk], before: list[str], after: list[str]) -> list[str]:
    first, last = group[0], group[-1]
    start, end = max(0, first[0] - CONTEXT), min(len(before), last[1] + CONTEXT)
    new_start, new_end = first[2] - (first[0] - start), last[3] + (end - last[1])
    lines = [f"@@ -{start + 1},{end - start} +{new_start + 1},{new_end - new_start} @@"]
    at = start
    for a_start, a_stop, b_start, b_stop in group:
        lines += [f" {_cut(line)}" for line in before[at:a_start]]
        lines += [f"-{_cut(line)}" for line in before[a_start:a_stop]]
        lines += [f"+{_cut(line)}" for line in after[b_start:b_stop]]
        at = a_stop
    return [*lines, *(f" {_cut(line)}" for line in before[at:end])]


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARS else line[: MAX_LINE_CHARS - 1] + "…"
