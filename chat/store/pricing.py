"""What a run takes, held against what it may take, while it streams. Pure: `runs` counts with it, `store/budgets.py`
says what is left.
"""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from .. import engine
from ..conf import Price, conf
from ..protocol import objects
from . import prompts

MOST_TOKENS = 2**31 - 1
MOST_COST = Decimal(999_999)
"""Of one run: more is nonsense, and no column holds it."""


class Left(Struct, frozen=True):
    """What is left of one budget, None where it does not limit that; `failure` says that it is used up."""

    tokens: int | None
    cost: Decimal | None
    failure: objects.Failure


def price_of(*models: str) -> Price | None:
    """That of the first of these models that has one."""
    return next((conf.PRICES[model] for model in models if model in conf.PRICES), None)


def cost_of(usage: engine.Usage, price: Price) -> Decimal:
    """In the currency of PRICES, which are for a million tokens."""
    cached = 0 if price.cached is None else usage.cached_tokens or 0
    fresh = max((usage.input_tokens or 0) - cached, 0)
    total = fresh * price.input + cached * (price.cached or 0) + (usage.output_tokens or 0) * price.output
    return min(max(total / 1_000_000, Decimal(0)), MOST_COST).quantize(Decimal("0.000001"))


def tokens_of(usage: engine.Usage) -> int:
    """In all, within what a column can hold, whatever a provider says."""
    total = usage.total_tokens
    if total is None:
        total = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    return min(max(total, 0), MOST_TOKENS)


class Meter:
    """Estimates what a run takes: its prompt, what it writes, and all of that as the prompt of each further turn.
    Providers count only at the end, and not at all what was broken off.
    """

    def __init__(self, prompt: Sequence[engine.Message], left: Sequence[Left], price: Price | None) -> None:
        self._context = sum(map(prompts.estimate, prompt))
        self._left = left
        self._price = price
        self._input = 0
        self._chars = 0
        self._turn = True

    def heard(self, chars: int) -> None:
        """The model wrote so many characters."""
        self._input += self._ahead
        self._turn = False
        self._chars += chars

    def told(self, chars: int) -> None:
        """A tool gave a result of so many characters: the model is sent everything once more."""
        self._turn = True
        self._context += chars // prompts.CHARS_PER_TOKEN

    @property
    def _ahead(self) -> int:
        """Tokens that the model is sent before it says something."""
        return self._context + self._chars // prompts.CHARS_PER_TOKEN if self._turn else 0

    @property
    def usage(self) -> engine.Usage:
        output = -(-self._chars // prompts.CHARS_PER_TOKEN)
        return engine.Usage(self._input, output, self._input + output)

    def over(self) -> objects.Failure | None:
        """Why the run has to end, if it has to."""
        if not self._left:
            return None
        usage = self.usage
        tokens = tokens_of(usage) + self._ahead
        for left in self._left:
            if left.tokens is not None and tokens > left.tokens:
                return left.failure
            if left.cost is not None and self._price is not None:
                with_ahead = engine.Usage(tokens - (usage.output_tokens or 0), usage.output_tokens)
                if cost_of(with_ahead, self._price) > left.cost:
                    return left.failure
        return None
