"""How long an answer may take, how much it may hold, how often something is tried. Part of an Agent; the runner and the
providers keep to it."""

import os
from dataclasses import dataclass, field


def _max_retries() -> int:
    """NOUS_CHAT_MAX_RETRIES, 2 where it is unset or no number."""
    said = os.environ.get("NOUS_CHAT_MAX_RETRIES", "").strip()
    return int(said) if said.isdecimal() else 2


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and tokens (None: the model's own limit).

    `first_token` counts from a request, `idle` from the last token. What only keeps a connection open (comments, pings,
    empty deltas) is no token. `total` counts from the start of the run, over all its requests, pauses and tools.

    `max_turns` is how many requests one run may make, because of tools or of corrections; `max_calls` how many calls
    of one turn are made. `max_retries` is how often the same request is sent again, `max_retry_wait` how long a
    provider may ask to wait for that; `max_corrections` how often a model may mend an answer that does not fit its
    `output_type`.
    """

    connect: float = 10.0
    first_token: float = 60.0
    idle: float = 60.0
    total: float = 600.0
    max_output_tokens: int | None = None
    max_turns: int = 10
    max_calls: int = 32
    max_retries: int = field(default_factory=_max_retries)
    max_retry_wait: float = 20.0
    max_corrections: int = 2
