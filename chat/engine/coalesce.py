"""Merges many deltas into fewer, larger ones, in the same order. Pure: the caller passes in the time and does the
sending.

coalescer.add(delta, now)          add a delta
coalescer.due(now)                 seconds until something should be sent
coalescer.take(now)                the merged deltas to send
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from .events import TextDelta, ThinkingDelta, ToolCallDelta

_MIN_WAIT = 1e-6  # seconds; a shorter wait is not worth another timer


def merge_adjacent(deltas: Iterable[Any]) -> list[Any]:
    """The deltas that one read has brought, with adjacent ones of text, of thinking, or of arguments of one call, as
    one: each takes its way through all layers, and they would be sent together anyway.
    """
    merged: list[Any] = []
    for (kind, call), together in groupby(deltas, lambda delta: (type(delta), getattr(delta, "id", ""))):
        if issubclass(kind, TextDelta | ThinkingDelta):
            merged.append(kind("".join(delta.text for delta in together)))
        elif issubclass(kind, ToolCallDelta):
            pieces = list(together)
            merged.append(ToolCallDelta(call, pieces[0].name, "".join(piece.text for piece in pieces)))
        else:
            merged += together
    return merged


class Coalescer:
    """Times are in seconds, on any monotonic clock.

    The first delta is due at once, and so is the first after a pause. After that a frame is due when `chars` characters
    are held or `interval` has passed since the last frame, but never sooner than `min_gap` after it. A caller that
    takes late is under load: then the interval grows, up to `max_interval`, and `chars` in proportion, so that each
    delta costs less.
    """

    def __init__(
        self,
        chars: int = 50,
        interval: float = 0.040,
        min_gap: float = 0.016,
        max_interval: float = 0.100,
    ) -> None:
        self.held = 0
        """The number of characters held."""
        self._chars_per_second = chars / interval
        self._interval = interval
        self._min_gap = min_gap
        self._max_interval = max_interval
        self._current_interval = interval
        self._parts: list[tuple[type[TextDelta] | type[ThinkingDelta], list[str]]] = []
        self._last_take = float("-inf")
        self._due = float("inf")

    def add(self, event: TextDelta | ThinkingDelta, now: float) -> None:
        if not event.text:
            return
        if not self._parts:
            self._due = max(now, self._last_take + self._current_interval)
        kind = type(event)
        if self._parts and self._parts[-1][0] is kind:
            self._parts[-1][1].append(event.text)
        else:
            self._parts.append((kind, [event.text]))
        self.held += len(event.text)
        if self.held >= self._chars_per_second * self._current_interval:
            self._due = min(self._due, max(now, self._last_take + self._min_gap))

    def due(self, now: float) -> float | None:
        """Seconds until a frame should be sent: 0 means now, None means that nothing is held."""
        if not self._parts:
            return None
        wait = self._due - now
        return wait if wait > _MIN_WAIT else 0.0

    def take(self, now: float) -> list[TextDelta | ThinkingDelta]:
        """Everything held, adjacent deltas of one kind merged. At the end of a stream, take the rest without
        waiting."""
        if not self._parts:
            return []
        self._adapt(now - self._due)
        taken = [kind("".join(texts)) for kind, texts in self._parts]
        self._parts.clear()
        self.held = 0
        self._last_take = now
        return taken

    def _adapt(self, late: float) -> None:
        """Adapt the interval to a take that was `late` seconds late. An early take, the last one of a stream, says
        nothing about the load."""
        if late < 0:
            return
        wanted = min(self._max_interval, self._interval + 2 * late)
        if wanted >= self._current_interval:
            self._current_interval = wanted
        else:
            self._current_interval += (wanted - self._current_interval) * 0.05
