"""How far behind one socket's reader is. Pure: `consumers` asks it before each delta, tells it of everything that it
sends unasked, and of what shows that this was read.
"""

from collections import deque

LIMIT = 256 * 1024
"""Characters of a run sent and not acknowledged, beyond which a socket gets no more deltas."""

MOST = 4 * 1024 * 1024
"""Characters of all kinds sent unasked and not known to be read, beyond which the reader has to come again."""


class Credit:
    """Counts what was sent to one socket; deltas of one run at a time, since a conversation has one active run."""

    def __init__(self) -> None:
        self._run: str | None = None
        self._sent: deque[tuple[int, int, int]] = deque()
        """Of each delta that is not acknowledged: its seq, its size, and `_total` before it."""

        self._outstanding = 0
        self._total = self._read = self._at_pong = 0
        """Characters sent unasked; of these, known to be read; sent before the last pong."""

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
        self._sent.append((seq, size, self._total))
        self._outstanding += size
        return True

    def push(self, size: int) -> bool:
        """Something is sent unasked, a delta or other. False where that is more than a reader may leave unread."""
        self._total += size
        return self._total - self._read <= MOST

    def acknowledge(self, run: str, seq: int) -> bool:
        """The reader has applied everything up to `seq`. True where it has now caught up and needs the whole state."""
        if run != self._run:
            return False
        while self._sent and self._sent[0][0] <= seq:
            _, size, before = self._sent.popleft()
            self._outstanding -= size
            self._read = max(self._read, before + size)
        if self.behind and self._outstanding <= LIMIT // 2:
            self.behind = False
            return True
        return False

    def pong(self) -> None:
        """The reader asks for a pong: it has read the one before, and so everything that came before that."""
        self._read = max(self._read, self._at_pong)
        self._at_pong = self._total
