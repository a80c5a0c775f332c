"""Where a text may be cut: between grapheme clusters (UAX #29), so that no emoji, flag, or accented letter breaks."""

import regex  # type: ignore[import-untyped]

_CLUSTER = regex.compile(r"\X")


def cut(text: str, limit: int) -> str:
    """The longest beginning of `text` of at most `limit` characters that ends between two clusters.

    A single cluster that is longer than `limit` is cut all the same: a letter can carry any number of accents.
    """
    if len(text) <= limit:
        return text
    # A space begins a cluster, so that only the last word needs to be looked at.
    start = max(text.rfind(" ", 0, limit), 0)
    end = start
    for cluster in _CLUSTER.finditer(text, start):
        if cluster.end() > limit:
            break
        end = cluster.end()
    return text[: end or limit]


def cluster_at(text: str, index: int) -> tuple[int, int]:
    """The start and end of the cluster that the character at `index` belongs to."""
    start = max(text.rfind(" ", 0, index), 0)
    for cluster in _CLUSTER.finditer(text, start):
        if cluster.end() > index:
            return cluster.start(), cluster.end()
    return index, index
