"""Which agents a text speaks to: `@assistant`, `@slug`, `@Name`. Text in, slugs out; called by `store`."""

import re
from collections.abc import Iterable
from functools import lru_cache

DEFAULT = "assistant"
"""`@assistant` is the conversation's first agent, unless another one bears that slug or name."""

_CODE = re.compile(
    r"^ {0,3}(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})[^\n]*(?:\n.*?)??(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)"
    r"|(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)",
    re.MULTILINE | re.DOTALL,
)


def find_mentions(text: str, agents: Iterable[tuple[str, str]]) -> list[str]:
    """The slugs of those `agents` (slug and name, the first is the default one) that `text` speaks to, in its order.

    What stands in code, in an e-mail address or in a longer word is not meant.
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
