"""Mentions of agents in a text: `@assistant`, `@slug`, `@Name`. Text in, slugs out. Called by `responders`."""

import re
from collections.abc import Iterable
from functools import lru_cache

DEFAULT = "assistant"
"""`@assistant` means the conversation's first agent, unless an agent has that slug or name."""

_CODE = re.compile(
    r"^ {0,3}(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})[^\n]*(?:\n.*?)??(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)"
    r"|(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)",
    re.MULTILINE | re.DOTALL,
)


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
    found = _pattern(tuple(names)).finditer(_CODE.sub(" ", text))
    return list(dict.fromkeys(names[_normalize(match[1])] for match in found))


def _normalize(name: str) -> str:
    return " ".join(name.casefold().split())


@lru_cache(maxsize=256)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(names, key=len, reverse=True)
    choices = "|".join(r"\s+".join(map(re.escape, name.split())) for name in longest_first if name)
    return re.compile(rf"(?<![\w@.+/-])@({choices})(?!\w|[.@-]\w)", re.IGNORECASE)
