"""Estimates a run's usage while it streams, and says when a budget is used up. Pure.

Providers report usage only at the end, and not at all for answers that broke off.
"""

from collections.abc import Sequence

from .. import engine
from ..conf import Price
from ..engine.tokens import CHARS_PER_TOKEN, estimate_tokens
from ..protocol import objects
from ..store.pricing import RemainingBudget, compute_cost, count_tokens


class Meter:
    """Counts the prompt, the output, and, after each tool result, all of that again as the next turn's prompt."""

    def __init__(
        self, prompt: Sequence[engine.Message], budgets: Sequence[RemainingBudget], price: Price | None
    ) -> None:
        self._context_tokens = sum(map(estimate_tokens, prompt))
        self._budgets = budgets
        self._price = price
        self._input_tokens = 0
        self._output_chars = 0
        self._turn_begins = True

    def add_output(self, chars: int) -> None:
        """The model wrote this many characters."""
        self._input_tokens += self._next_input
        self._turn_begins = False
        self._output_chars += chars

    def add_tool_result(self, chars: int) -> None:
        """A tool returned this many characters. The model is sent everything once more."""
        self._turn_begins = True
        self._context_tokens += chars // CHARS_PER_TOKEN

    @property
    def _next_input(self) -> int:
        """Tokens that the model is sent before it writes again."""
        return self._context_tokens + self._output_chars // CHARS_PER_TOKEN if self._turn_begins else 0

    @property
    def usage(self) -> engine.Usage:
        """The estimate so far, in tokens."""
        output = -(-self._output_chars // CHARS_PER_TOKEN)
        return engine.Usage(self._input_tokens, output, self._input_tokens + output)

    def exceeded(self) -> objects.Failure | None:
        """The reason for ending the run: the first exceeded budget. None while there is none."""
        if not self._budgets:
            return None
        usage = self.usage
        tokens = count_tokens(usage) + self._next_input
        for budget in self._budgets:
            if budget.tokens is not None and tokens > budget.tokens:
                return budget.failure
            if budget.cost is not None and self._price is not None:
                with_next_input = engine.Usage(tokens - (usage.output_tokens or 0), usage.output_tokens)
                if compute_cost(with_next_input, self._price) > budget.cost:
                    return budget.failure
        return None
