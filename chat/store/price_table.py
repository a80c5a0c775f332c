"""The prices that the chat ships, in US dollars: prices.txt, which names its sources and its date."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from ..conf import Price

FILE = Path(__file__).with_name("prices.txt")
CURRENCY = "USD"

Dated = tuple[date, Price]
"""A price, and the first day on which it holds."""

_SNAPSHOT = re.compile(r"(-\d{8}|-\d{4}-\d{2}-\d{2}|-\d{2}-\d{4}|-latest)$")


@lru_cache(maxsize=1)
def shipped() -> Mapping[str, Sequence[Dated]]:
    """The prices by `provider:model`, oldest first."""
    found: dict[str, list[Dated]] = defaultdict(list)
    provider = ""
    for line in FILE.read_text("utf-8").splitlines():
        if line.startswith("["):
            provider = line.strip("[]")
        elif line and not line.startswith("#"):
            since, name, numbers = _PRICE.fullmatch(line).groups()  # type: ignore[union-attr]
            first = date.fromisoformat(since) if since else date.min
            found[f"{provider}:{name}"].append((first, Price(*map(Decimal, numbers.split()))))
    for prices in found.values():
        prices.sort(key=lambda dated: dated[0])
    return found


_PRICE = re.compile(r"(?:(\d{4}-\d\d-\d\d) )?(\S+) ([\d. ]+)")


def price_on(day: date, prices: Sequence[Dated]) -> Dated | None:
    """The newest of these prices, oldest first, that holds on this day."""
    return next((dated for dated in reversed(prices) if dated[0] <= day), None)


def spellings(model: str) -> tuple[str, ...]:
    """The names under which to look for the price of a model: its own, and that without the date of a snapshot."""
    undated = _SNAPSHOT.sub("", model)
    return (model,) if undated == model else (model, undated)
