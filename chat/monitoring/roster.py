"""Which processes there are, by what they announce. Pure: the caller passes in the loop's time, in seconds.

No table holds it, so a crash leaves nothing to clean up: a process that does not announce itself is forgotten.
"""

ANNOUNCE_EVERY = 5.0
"""Seconds between two announcements of a process."""

FORGET_AFTER = 12.0
"""Seconds without an announcement after which a process counts as gone."""

SETTLE = 1.5
"""Seconds that the others have to answer a process that has just begun to listen."""


class Roster:
    """The processes that this one hears of, itself included."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._heard: dict[str, float] = {}
        self._listening_since: float | None = None
        """None before the first announcement of its own has come back."""

    def hear(self, host: str, now: float) -> None:
        """A process has announced itself. It is heard of at once, or after a time in which this one heard nothing."""
        if host == self._host and (self._listening_since is None or now - self._heard.get(host, 0) > FORGET_AFTER):
            self._listening_since = now
        self._heard[host] = now

    def forget(self, host: str) -> None:
        """A process has ended."""
        self._heard.pop(host, None)

    def others(self, now: float) -> set[str]:
        """The other processes that have announced themselves lately."""
        self._heard = {host: at for host, at in self._heard.items() if now - at <= FORGET_AFTER or host == self._host}
        return self._heard.keys() - {self._host}

    def is_settled(self, now: float) -> bool:
        """Whether `others` are all: this process has heard its own announcements for long enough."""
        if self._listening_since is None or now - self._heard[self._host] > FORGET_AFTER:
            return False
        return now - self._listening_since >= SETTLE
