"""What a run takes, held against what it may take, while it streams. Pure: `runs` counts with it, `store/budgets.py`
says what is left.
"""

from decimal import Decimal

from msgspec import Struct

from .. import engine
from ..conf import Price, conf
from ..protocol import objects

MAX_TOKENS = 2**31 - 1
MAX_COST = Decimal(999_999)
"""Of one run: more is nonsense, and no column holds it."""


class RemainingBudget(Struct, frozen=True):
    """What is left of one budget, None where it does not limit that; `failure` says that it is used up."""

    tokens: int | None
    cost: Decimal | None
    failure: objects.Failure


def find_price(*models: str) -> Price | None:
    """That of the first of these models that has one."""
    return next((conf.PRICES[model] for model in models if model in conf.PRICES), None)


def compute_cost(usage: engine.Usage, price: Price) -> Decimal:
    """In the currency of PRICES, which are for a million tokens."""
    cached = 0 if price.cached is None else usage.cached_tokens or 0
    fresh = max((usage.input_tokens or 0) - cached, 0)
    total = fresh * price.input + cached * (price.cached or 0) + (usage.output_tokens or 0) * price.output
    return min(max(total / 1_000_000, Decimal(0)), MAX_COST).quantize(Decimal("0.000001"))


def count_tokens(usage: engine.Usage) -> int:
    """In all, within what a column can hold, whatever a provider says."""
    total = usage.total_tokens
    if total is None:
        total = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    return min(max(total, 0), MAX_TOKENS)
