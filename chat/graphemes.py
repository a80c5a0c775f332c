"""Where a text may be cut: between grapheme clusters (UAX #29), so that no emoji, flag, or accented letter breaks."""

import regex  # type: ignore[import-untyped]

_CLUSTER = regex.compile(r"\X")

MAX_CLUSTER = 256
"""How far, in characters, to look for the beginning and the end of a cluster. Nothing that people write is as long, but
in a line of flags the pattern looks back to the first one for each of them.
"""


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
