"""Deltas in, fewer and larger deltas out, in the same order. Pure: the caller brings the time and does the sending.

coalescer.add(delta, now)          for each delta
coalescer.due(now)                 how many seconds until something should leave
coalescer.take(now)                what leaves
"""

from .events import TextDelta, ThinkingDelta

_SLACK = 1e-6  # seconds; less than this is not worth another timer


class Coalescer:
    """Times are seconds on any clock that only goes forward.

    The first delta leaves at once, and so does the first after a pause. After that a frame leaves when `chars`
    characters are held or `interval` has passed since the last, and never sooner than `min_gap` after it. A caller
    that takes late is under load: the interval grows, up to `max_interval`, and `chars` in proportion, so that each
    delta costs less as there is more to do.
    """

    def __init__(
        self,
        chars: int = 50,
        interval: float = 0.040,
        min_gap: float = 0.016,
        max_interval: float = 0.100,
    ) -> None:
        self.held = 0
        """Characters waiting."""
        self._chars = chars / interval
        self._interval = interval
        self._min_gap = min_gap
        self._max_interval = max_interval
        self._stretched = interval
        self._parts: list[tuple[type[TextDelta] | type[ThinkingDelta], list[str]]] = []
        self._last = float("-inf")
        self._due = float("inf")

    def add(self, event: TextDelta | ThinkingDelta, now: float) -> None:
        if not event.text:
            return
        if not self._parts:
            self._due = max(now, self._last + self._stretched)
        kind = type(event)
        if self._parts and self._parts[-1][0] is kind:
            self._parts[-1][1].append(event.text)
        else:
            self._parts.append((kind, [event.text]))
        self.held += len(event.text)
        if self.held >= self._chars * self._stretched:
            self._due = min(self._due, max(now, self._last + self._min_gap))

    def due(self, now: float) -> float | None:
        """Seconds until a frame should leave: 0 is now, None is nothing held."""
        if not self._parts:
            return None
        wait = self._due - now
        return wait if wait > _SLACK else 0.0

    def take(self, now: float) -> list[TextDelta | ThinkingDelta]:
        """Everything held, neighbours of one kind merged. At the end of a stream take what is left without waiting."""
        if not self._parts:
            return []
        self._learn(now - self._due)
        taken = [kind("".join(texts)) for kind, texts in self._parts]
        self._parts.clear()
        self.held = 0
        self._last = now
        return taken

    def _learn(self, late: float) -> None:
        """One take that was `late` seconds late. Early ones (the last of a stream) say nothing about load."""
        if late < 0:
            return
        wanted = min(self._max_interval, self._interval + 2 * late)
        if wanted >= self._stretched:
            self._stretched = wanted
        else:
            self._stretched += (wanted - self._stretched) * 0.05
