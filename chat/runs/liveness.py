"""Whether this process is in touch with the world. Pure: `supervisor` tells it of each tick, each heartbeat that the
database took, and each message to itself that came back through the channel layer.
"""

import asyncio
from dataclasses import dataclass, field

from ..conf import conf

TICK = 1.0
"""Seconds between two heartbeats, and so the most of a text that a crash can cost."""

AWAY = 3.0
"""Seconds without an answer after which the database, or the layer, counts as away."""


def late() -> float:
    """Seconds after which a heartbeat that is missing starts to matter: half of what makes others take the runs."""
    return max(conf.HOST_TIMEOUT / 2, 2.5 * TICK)


class Pulse:
    """Times are the event loop's, in seconds. A process begins as one that has seen nothing yet."""

    def __init__(self, now: float) -> None:
        self._ticked = now
        self._frozen_since: float | None = None
        self._beaten = self._echoed = now
        self._regular_since: float | None = None
        self._echo = 0
        self.sent = 0
        """The number of the newest message to ourselves."""

    def tick(self, now: float) -> bool:
        """Once every TICK. True where this one is so late that the process must have been frozen."""
        frozen = self.frozen(now)
        if frozen:
            self._frozen_since = now
            self._echoed = now
        self._ticked = now
        self.sent += 1
        return frozen

    def frozen(self, now: float) -> bool:
        """Whether others may have taken our runs without our knowing: no heartbeat has told us since the process stood
        still. Until one has, nothing may be published.
        """
        return self._frozen_since is not None or now - self._ticked > late()

    def beat(self, asked: float, now: float) -> None:
        """The database has answered the heartbeat that was `asked` for then."""
        if self._regular_since is None or now - self._beaten > late():
            self._regular_since = now
        self._beaten = now
        if self._frozen_since is not None and asked >= self._frozen_since:
            self._frozen_since = None

    def may_judge(self, now: float) -> bool:
        """Whether a heartbeat that is old in the database means a dead process. After an outage they all are old, until
        each process has had the time to give a new sign of life.
        """
        regular = self._regular_since is not None and now - self._beaten <= late()
        return regular and now - (self._regular_since or now) >= conf.HOST_TIMEOUT

    def echo(self, number: int, now: float) -> int:
        """Message `number` to ourselves came back. Returns how many before it did not."""
        missed = max(number - self._echo - 1, 0)
        self._echo, self._echoed = max(number, self._echo), now
        return missed

    def database_away(self, now: float) -> bool:
        return now - self._beaten > AWAY

    def layer_away(self, now: float) -> bool:
        return now - self._echoed > AWAY


@dataclass
class Process:
    """What a run knows of the process that makes it."""

    host: str
    pulse: Pulse
    ending: bool = False
    """It is about to end: what follows is for another process."""
    steady: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with each heartbeat that the database took."""
    given_up: asyncio.Event = field(default_factory=asyncio.Event)
    """It ends now: what the database does not take at once is lost."""
