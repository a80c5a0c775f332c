"""How far behind one socket's reader is. Pure: `consumers` asks it before each delta and tells it of each `run.ack`."""

from collections import deque

LIMIT = 256 * 1024
"""Characters sent and not acknowledged, beyond which a socket gets no more deltas."""


class Credit:
    """Counts what one run has sent to one socket; a conversation has one active run, so a new run starts afresh."""

    def __init__(self) -> None:
        self._run: str | None = None
        self._sent: deque[tuple[int, int]] = deque()
        self._outstanding = 0
        self.behind = False

    def admit(self, run: str, seq: int, size: int) -> bool:
        """Whether a delta of `size` characters may be sent; it then counts as sent."""
        if run != self._run:
            self._run, self._outstanding, self.behind = run, 0, False
            self._sent.clear()
        if self._outstanding + size > LIMIT:
            self.behind = True
        if self.behind:
            return False
        self._sent.append((seq, size))
        self._outstanding += size
        return True

    def acknowledge(self, run: str, seq: int) -> bool:
        """The reader has applied everything up to `seq`. True where it has now caught up and needs the whole state."""
        if run != self._run:
            return False
        while self._sent and self._sent[0][0] <= seq:
            self._outstanding -= self._sent.popleft()[1]
        if self.behind and self._outstanding <= LIMIT // 2:
            self.behind = False
            return True
        return False
