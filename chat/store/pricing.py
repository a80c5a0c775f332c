"""Arithmetic of tokens and money, without the database. Called by `budgets`, and by `runs/meter.py` during a run."""

from decimal import Decimal

from msgspec import Struct

from .. import engine
from ..conf import Price, conf
from ..protocol import objects

# The most that one run can have: a provider may report anything, and larger values do not fit their columns.
MAX_TOKENS = 2**31 - 1
MAX_COST = Decimal(999_999)


class RemainingBudget(Struct, frozen=True):
    """What remains of one budget, in tokens and money; None if it does not limit that. `failure` says it is used up."""

    tokens: int | None
    cost: Decimal | None
    failure: objects.Failure


def find_price(*models: str) -> Price | None:
    """The price of the first of these models that has one in PRICES."""
    return next((conf.PRICES[model] for model in models if model in conf.PRICES), None)


def compute_cost(usage: engine.Usage, price: Price) -> Decimal:
    """In the currency of PRICES, which are per million tokens."""
    cached = 0 if price.cached is None else usage.cached_tokens or 0
    uncached = max((usage.input_tokens or 0) - cached, 0)
    total = uncached * price.input + cached * (price.cached or 0) + (usage.output_tokens or 0) * price.output
    return min(max(total / 1_000_000, Decimal(0)), MAX_COST).quantize(Decimal("0.000001"))


def count_tokens(usage: engine.Usage) -> int:
    """All tokens of a usage, between 0 and MAX_TOKENS."""
    total = usage.total_tokens
    if total is None:
        total = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    return min(max(total, 0), MAX_TOKENS)
