"""What tokens cost. Prices come from the admin, else from the setting PRICES, else from the table that the chat ships.

The rest is arithmetic without the database. Called by `budgets`, and by `runs/meter.py` during a run.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from .. import engine, models
from ..conf import Price, conf
from ..protocol import objects
from ..times import today
from .cached import Cached
from .prepared import Select
from .price_table import CURRENCY, Dated, price_on, shipped, spellings

# The most that one run can have: a provider may report anything, and larger values do not fit their columns.
MAX_TOKENS = 2**31 - 1
MAX_COST = Decimal(999_999)


class AppliedPrice(Price, frozen=True, kw_only=True, omit_defaults=True):
    """A price, and where it comes from. The row of a run keeps those that its cost was computed with, one a line."""

    model: str
    """As `provider:model`."""
    currency: str
    source: Literal["admin", "settings", "shipped"]
    since: date | None = None
    """The first day of a price of the admin."""


def add_price(lines: str, price: AppliedPrice) -> str:
    """The lines of a run with one more price, unless they have it."""
    return "\n".join(dict.fromkeys([*lines.splitlines(), msgspec.json.encode(price).decode()]))


def read_prices(lines: str) -> list[AppliedPrice]:
    """The prices in the lines of a run. Raises msgspec.ValidationError, or DecodeError, if an import brought others."""
    return [msgspec.json.decode(line, type=AppliedPrice) for line in lines.splitlines()]


class RemainingBudget(Struct, frozen=True):
    """What remains of one budget, in tokens and money; None if it does not limit that. `failure` says it is used up."""

    tokens: int | None
    cost: Decimal | None
    failure: objects.Failure


def find_price(*names: str) -> AppliedPrice | None:
    """Today's price of the first of these models that has one. Reads the prices of the admin at most every MAX_AGE."""
    stored = stored_prices.get()
    return next((found for name in names for found in _find(name, stored)), None)


def has_price(model: str) -> bool:
    """Whether the settings or the shipped table have a price. Needs no database."""
    return next(_find(model, {}), None) is not None


def _find(model: str, stored: Mapping[str, Sequence[Dated]]) -> Iterator[AppliedPrice]:
    day, names = today(), spellings(model)
    for name in names:
        if (dated := price_on(day, stored.get(name, ()))) is not None:
            yield _applied(dated[1], name, "admin", dated[0])
    for name in names:
        if name in conf.PRICES:
            yield _applied(conf.PRICES[name], name, "settings")
    if conf.CURRENCY == CURRENCY:
        for name in names:
            if (dated := price_on(day, shipped().get(name, ()))) is not None:
                yield _applied(dated[1], name, "shipped")


def _applied(
    price: Price, model: str, source: Literal["admin", "settings", "shipped"], since: date | None = None
) -> AppliedPrice:
    return AppliedPrice(**asdict(price), model=model, currency=conf.CURRENCY, source=source, since=since)


def _read_stored() -> Mapping[str, Sequence[Dated]]:
    found: dict[str, list[Dated]] = defaultdict(list)
    for row in _STORED.all():
        found[row.model].append((row.valid_from, Price(row.input, row.output, row.cached)))
    return found


_STORED = Select(lambda: models.Price.objects.order_by("model", "valid_from"))
stored_prices = Cached(_read_stored)
"""The prices of the admin by `provider:model`, oldest first."""


def compute_cost(usage: engine.Usage, price: Price) -> Decimal:
    """In the currency of the price, which is for a million tokens."""
    uncached, cached, output = _billed(usage)
    read = price.input if price.cached is None else price.cached
    total = uncached * price.input + cached * read + output * price.output
    return min(max(total / 1_000_000, Decimal(0)), MAX_COST).quantize(Decimal("0.000001"))


def _billed(usage: engine.Usage) -> tuple[int, int, int]:
    """The tokens of a usage as vendors bill them: input that was not cached, cached input, and output with thinking.

    Most vendors count cached tokens as input, and thinking as output. What only their total contains is, with xAI, the
    thinking, and else input: with Anthropic, what was read from its cache and written to it.
    """
    given, output, cached = usage.input_tokens or 0, usage.output_tokens or 0, max(usage.cached_tokens or 0, 0)
    rest = max((usage.total_tokens or 0) - given - output, 0)
    if rest and rest == usage.reasoning_tokens:
        output += rest
    else:
        given += rest
    return max(given - cached, 0), min(cached, max(given, 0)), output


def count_tokens(usage: engine.Usage) -> int:
    """All tokens of a usage, between 0 and MAX_TOKENS."""
    total = usage.total_tokens
    if total is None:
        total = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    return min(max(total, 0), MAX_TOKENS)
