"""Estimates what a run takes while it streams, and says when a budget is used up."""

from collections.abc import Sequence

from .. import engine
from ..conf import Price
from ..protocol import objects
from ..store import prompts
from ..store.pricing import RemainingBudget, compute_cost, count_tokens


class Meter:
    """Estimates what a run takes: its prompt, what it writes, and all of that as the prompt of each further turn.
    Providers count only at the end, and not at all what was broken off.
    """

    def __init__(self, prompt: Sequence[engine.Message], left: Sequence[RemainingBudget], price: Price | None) -> None:
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
        tokens = count_tokens(usage) + self._ahead
        for left in self._left:
            if left.tokens is not None and tokens > left.tokens:
                return left.failure
            if left.cost is not None and self._price is not None:
                with_ahead = engine.Usage(tokens - (usage.output_tokens or 0), usage.output_tokens)
                if compute_cost(with_ahead, self._price) > left.cost:
                    return left.failure
        return None
