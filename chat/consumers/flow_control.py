"""How far behind one socket's reader is. Pure: `consumers` asks it before each delta and tells it of each `run.ack`."""

from collections import deque

LIMIT = 256 * 1024
"""Characters sent and not acknowledged, beyond which a socket gets no more deltas."""

PATIENCE = 30.0
"""Seconds that a delta may stay unacknowledged before there are no more of them either; and seconds that a reader may
be behind before he has to come again."""


class Credit:
    """Counts what one run has sent to one socket; a conversation has one active run, so a new run starts afresh. Times
    are the event loop's, in seconds.
    """

    def __init__(self) -> None:
        self._run: str | None = None
        self._sent: deque[tuple[int, int, float]] = deque()
        self._outstanding = 0
        self._behind_since: float | None = None

    @property
    def behind(self) -> bool:
        return self._behind_since is not None

    def admit(self, run: str, seq: int, size: int, now: float) -> bool:
        """Whether a delta of `size` characters may be sent; it then counts as sent."""
        if run != self._run:
            self._begin(run)
        late = bool(self._sent) and now - self._sent[0][2] > PATIENCE
        if self._behind_since is None and (late or self._outstanding + size > LIMIT):
            self._behind_since = now
        if self.behind:
            return False
        self._sent.append((seq, size, now))
        self._outstanding += size
        return True

    def acknowledge(self, run: str, seq: int) -> bool:
        """The reader has applied everything up to `seq`. True where it has now caught up and needs the whole state."""
        if run != self._run:
            return False
        while self._sent and self._sent[0][0] <= seq:
            self._outstanding -= self._sent.popleft()[1]
        if self.behind and self._outstanding <= LIMIT // 2:
            self._behind_since = None
            return True
        return False

    def finish(self, run: str) -> None:
        """The run is over: whoever was behind has got the whole of it."""
        if run == self._run:
            self._begin(None)

    def exhausted(self, now: float) -> bool:
        """Whether the reader has been behind for so long that he is not going to catch up."""
        return self._behind_since is not None and now - self._behind_since > PATIENCE

    def _begin(self, run: str | None) -> None:
        self._run, self._outstanding, self._behind_since = run, 0, None
        self._sent.clear()
