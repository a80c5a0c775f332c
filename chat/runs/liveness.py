"""Whether this process is in touch with its event loop, the database and the channel layer. Pure.

`node.heartbeat` reports each tick, each heartbeat that the database took, and each message to itself that came back.
"""

import asyncio
from dataclasses import dataclass, field

from ..conf import conf

TICK = 1.0
"""Seconds between two heartbeats, and so the most text, in seconds, that a crash can lose."""

AWAY = 3.0
"""Seconds without an answer after which the database, or the layer, counts as away."""


def overdue() -> float:
    """Seconds after which a missing heartbeat matters: half the time after which other processes take our runs."""
    return max(conf.HOST_TIMEOUT / 2, 2.5 * TICK)


class Liveness:
    """When this process was last in touch with its event loop, the database and the layer.

    Times are the event loop's, in seconds.
    """

    def __init__(self, now: float) -> None:
        self._ticked_at = now
        self._frozen_since: float | None = None
        self._beaten_at = self._listening_since = now
        self._regular_since: float | None = None
        """Since when heartbeats have succeeded without a long pause. None before the first one."""
        self._echoes: dict[int, tuple[int, float]] = {}
        """The number of the newest message to itself that came back through each server of the layer, and when."""
        self.sent = 0
        """The number of the newest message to itself."""

    def tick(self, now: float) -> bool:
        """Note a tick. Returns True if it is so late that the process must have been frozen."""
        frozen = self.frozen(now)
        if frozen:
            self._frozen_since = now
            self._listening_since = now
        self._ticked_at = now
        self.sent += 1
        return frozen

    def frozen(self, now: float) -> bool:
        """True if we may have lost our runs to other processes: this process stalled, and no heartbeat has succeeded
        since. Publish nothing until one does.
        """
        return self._frozen_since is not None or now - self._ticked_at > overdue()

    def beat(self, started: float, now: float) -> None:
        """Note a heartbeat, begun at `started`, that the database has taken."""
        if self._regular_since is None or now - self._beaten_at > overdue():
            self._regular_since = now
        self._beaten_at = now
        if self._frozen_since is not None and started >= self._frozen_since:
            self._frozen_since = None

    def may_reap(self, now: float) -> bool:
        """Whether an old heartbeat in the database proves that a process is dead. After an outage they are all old,
        until each process has had time to write a new one.
        """
        if self._regular_since is None or now - self._beaten_at > overdue():
            return False
        return now - self._regular_since >= conf.HOST_TIMEOUT

    def echo(self, server: int, number: int, now: float) -> int:
        """Note that message `number` to itself came back through a server of the layer. Returns how many before it did
        not.
        """
        last, _ = self._echoes.get(server, (0, now))
        self._echoes[server] = max(number, last), now
        return max(number - last - 1, 0)

    def database_away(self, now: float) -> bool:
        """Whether the database has taken no heartbeat for AWAY seconds."""
        return now - self._beaten_at > AWAY

    def layer_away(self, server: int, now: float) -> bool:
        """Whether no message to itself has come back through a server of the layer for AWAY seconds."""
        _, echoed_at = self._echoes.get(server, (0, self._listening_since))
        return now - max(echoed_at, self._listening_since) > AWAY


@dataclass
class Process:
    """What the runs of this process need to know about it."""

    host: str
    liveness: Liveness
    draining: bool = False
    """Shutdown has begun. New work goes to other processes."""
    unfrozen: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by each heartbeat after which this process is not frozen. Runs clear it before they wait for the next one."""
    given_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the end of a shutdown. Writes that the database does not take at once are lost."""

    def give_up(self) -> None:
        """Release everything that waits for the database to come back."""
        self.given_up.set()
        self.unfrozen.set()
