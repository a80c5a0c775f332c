"""Credit-based flow control: how far one socket's reader is behind. Pure: the consumer passes the time in.

The consumer asks before it sends each delta, and reports each `run.ack`.
"""

from collections import deque

LIMIT = 256 * 1024
"""Unacknowledged characters beyond which a socket gets no more deltas."""

PATIENCE = 30.0
"""Seconds that a delta may stay unacknowledged before a socket gets no more of them, and seconds that a reader may stay
behind before they have to reconnect.
"""


class FlowControl:
    """Counts what one run has sent to one socket. A conversation has one active run, so a new run starts at zero. Times
    are the event loop's, in seconds.
    """

    def __init__(self) -> None:
        self._run: str | None = None
        self._sent: deque[tuple[int, int, float]] | None = None
        """What a run has sent, once it has: most sockets are idle."""
        self._outstanding = 0
        self._behind_since: float | None = None
        self.needs_snapshot = False
        """Whether something else than deltas was withheld, so that catching up with the run is not enough."""

    @property
    def behind(self) -> bool:
        """Whether deltas are withheld until the reader catches up."""
        return self._behind_since is not None

    def admit(self, run: str, seq: int, size: int, now: float) -> bool:
        """Whether a delta of `size` characters may be sent. If so, it counts as sent."""
        if self.needs_snapshot:
            return False
        if run != self._run or self._sent is None:
            self._reset(run)
            self._sent = deque()
        late = bool(self._sent) and now - self._sent[0][2] > PATIENCE
        # A reader who has acknowledged everything gets a delta of any size: nothing else would make them acknowledge.
        full = bool(self._sent) and self._outstanding + size > LIMIT
        if self._behind_since is None and (late or full):
            self._behind_since = now
        if self.behind:
            return False
        self._sent.append((seq, size, now))
        self._outstanding += size
        return True

    def acknowledge(self, run: str, seq: int) -> bool:
        """The reader has applied everything up to `seq`. Returns True if they have just caught up and now need the
        whole state, because deltas were withheld; with `needs_snapshot`, the whole conversation.
        """
        if run != self._run:
            return False
        while self._sent and self._sent[0][0] <= seq:
            self._outstanding -= self._sent.popleft()[1]
        if self.behind and self._outstanding <= LIMIT // 2:
            self._behind_since = None
            return True
        return False

    def withhold(self) -> None:
        """Something that no run's state contains is not sent to a reader who is behind. They stay behind until they
        catch up with what was sent, whatever begins and ends meanwhile.
        """
        self.needs_snapshot = True

    def finish(self, run: str) -> None:
        """The run is over. Its last event carries the whole message, so nobody is behind any longer."""
        if run == self._run and not self.needs_snapshot:
            self._reset(None)

    def exhausted(self, now: float) -> bool:
        """Whether the reader has been behind for so long that they will not catch up."""
        return self._behind_since is not None and now - self._behind_since > PATIENCE

    def _reset(self, run: str | None) -> None:
        self._run, self._outstanding, self._behind_since = run, 0, None
        self._sent = None
