"""How long a provider may take and how much a model may write. Part of an Agent; the providers keep to it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and tokens (None: the model's own limit).

    `first_token` and `total` count from the request, `idle` from the last token. What only keeps a connection open
    (comments, pings, empty deltas) is no token.
    """

    connect: float = 10.0
    first_token: float = 60.0
    idle: float = 60.0
    total: float = 600.0
    max_output_tokens: int | None = None
