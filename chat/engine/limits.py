"""Limits of a run: time, size, and number of attempts. They are part of an Agent."""

import os
from collections import Counter
from dataclasses import dataclass, field

from .exceptions import TOO_LARGE, EngineError


def _max_retries() -> int:
    """NOUS_CHAT_MAX_RETRIES, or 2 if it is unset or not a number."""
    value = os.environ.get("NOUS_CHAT_MAX_RETRIES", "").strip()
    return int(value) if value.isdecimal() else 2


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are in seconds. `max_output_tokens` None means the model's own limit.

    `first_token` counts from each request, `idle` from the last token. Data that only keeps the connection open
    (comments, pings, empty deltas) is not a token. `total` counts from the start of the run, and includes all of its
    requests, pauses and tools.

    `max_turns` is the number of requests in one run, which tools and corrections cause; `max_calls` the number of tool
    calls made in one turn. More calls are refused, and the model is told. So are calls whose arguments are longer than
    `max_argument_chars`, together in one turn.

    An answer fails with the code `answer_too_large` if its text or its thinking is longer than `max_text_chars`, if a
    turn has more than four times as many calls, or twice as many characters of arguments, as are allowed, or if the
    provider sends more than `max_bytes` in one response, or 8 MB in one event of it.

    `max_retries` is how often a failed request is repeated, and `max_retry_wait` the longest
    wait that a provider may ask for. `max_corrections` is how often the model may correct an answer that does not match
    its `output_type`.
    """

    connect: float = 10.0
    first_token: float = 60.0
    idle: float = 60.0
    total: float = 600.0
    max_output_tokens: int | None = None
    max_turns: int = 10
    max_calls: int = 32
    max_argument_chars: int = 200_000
    max_text_chars: int = 2_000_000
    max_bytes: int = 32 * 1024 * 1024
    max_retries: int = field(default_factory=_max_retries)
    max_retry_wait: float = 20.0
    max_corrections: int = 2

    def excess(self, calls: int, argument_chars: int) -> str:
        """What a turn has too much of, as in "more than 128 tool calls". "" if its calls can still be answered, even if
        only by a refusal."""
        if calls > (most := 4 * self.max_calls):
            return f"more than {most:,} tool calls"
        if argument_chars > (most := 2 * self.max_argument_chars):
            return f"more than {most:,} characters of arguments"
        return ""


class AnswerSize:
    """How much of an answer has arrived, by kind: "text", "thinking" ... Of each, `max_text_chars` are accepted."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_text_chars
        self._received: Counter[str] = Counter()

    def cut(self, kind: str, text: str) -> tuple[str, EngineError | None]:
        """As much of a piece as the answer can have, and the error that ends the answer if that is not all."""
        rest = self._most - self._received[kind]
        self._received[kind] += len(text)
        if len(text) <= rest:
            return text, None
        detail = f"The model wrote more than {self._most:,} characters of {kind}."
        return text[:rest], EngineError(TOO_LARGE, "answer_too_large", detail=detail)
