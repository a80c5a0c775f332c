"""Mentions of agents in a text: `@assistant`, `@slug`, `@Name`. Text in, slugs out. Called by `responders`."""

import re
from collections.abc import Iterable
from functools import lru_cache

DEFAULT = "assistant"
"""`@assistant` means the conversation's first agent, unless an agent has that slug or name."""

_FENCED = re.compile(
    r"^ {0,3}(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})[^\n]*(?:\n.*?)??(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
_TICKS = re.compile("`+")


def find_mentions(text: str, agents: Iterable[tuple[str, str]]) -> list[str]:
    """The slugs of the mentioned `agents` (slug and name, the default one first), in the order of the text.

    A name inside code, an email address or a longer word is not a mention.
    """
    known = tuple(agents)
    if "@" not in text or not known:
        return []
    names = {_normalize(DEFAULT): known[0][0]}
    names |= {_normalize(name): slug for slug, name in reversed(known)}
    names |= {_normalize(slug): slug for slug, _ in known}
    found = _pattern(tuple(names)).finditer(_without_code(text))
    return list(dict.fromkeys(names[_normalize(match[1])] for match in found))


def _without_code(text: str) -> str:
    """The text without code blocks and code spans. One pass finds where all spans end: a pattern that looks for the end
    of each takes quadratic time if many have none.
    """
    text = _FENCED.sub(" ", text)
    runs = [run.span() for run in _TICKS.finditer(text)]
    ends: list[int | None] = []  # of the spans that these runs of backticks may begin, the last one first
    nearest: dict[int, int] = {}  # by length: the end of the next run
    for start, end in reversed(runs):
        ends.append(nearest.get(end - start))
        nearest[end - start] = end
    pieces, position = [], 0
    for (start, _), span_end in zip(runs, reversed(ends), strict=True):
        if span_end is not None and start >= position:
            pieces.append(text[position:start])
            position = span_end
    return " ".join([*pieces, text[position:]])


def _normalize(name: str) -> str:
    return " ".join(name.casefold().split())


@lru_cache(maxsize=256)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(names, key=len, reverse=True)
    choices = "|".join(r"\s+".join(map(re.escape, name.split())) for name in longest_first if name)
    return re.compile(rf"(?<![\w@.+/-])@({choices})(?!\w|[.@-]\w)", re.IGNORECASE)
