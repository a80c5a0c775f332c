"""The newest log records of this process, in memory, for people who read the log of all processes live.

Bounded in every direction, whatever is logged: in the lines that are kept, in their size, and in how many are taken a
second. What exceeds that costs nothing but a count.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from ..logs import JSONFormatter

MAX_LINES = 1000
"""How many lines are kept."""

MAX_CHARS = 256 * 1024
"""How many characters they have together, in either form."""

PER_SECOND = 100
"""Lines below WARNING that are taken in a second, and as many of WARNING and above. So a flood hides no warning."""

MAX_LINE_CHARS = 4000
"""The longest message, and the longest traceback. Of a message the beginning is kept, of a traceback the end."""


class Line(Struct, frozen=True):
    """A record in both forms, encoded."""

    number: int
    content: bytes
    """For people who may read what others wrote."""
    metadata: bytes
    """For all others."""

    @property
    def size(self) -> int:
        return max(len(self.content), len(self.metadata))


class LogFrame(Struct, frozen=True, tag="log"):
    """Records of one process, the oldest first, and how many were left out since the last frame."""

    host: str
    lines: list[Raw]
    """Each with the fields of JSONFormatter, and its `number` in this process."""
    dropped: int = 0


class LiveLog(logging.Handler):
    """Keeps the newest records. Records come from any thread."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host
        self._formatter = JSONFormatter()
        self._lines: deque[Line] = deque()
        self._chars = 0
        self._number = 0
        self._second = 0
        self._taken = [0, 0]
        """Lines of this second below WARNING, and others."""
        self._dropped = 0
        """Records that were left out, since the beginning."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, or count it. `handle` holds the handler's lock."""
        second, important = int(time.monotonic()), record.levelno >= logging.WARNING
        if second != self._second:
            self._second, self._taken = second, [0, 0]
        self._taken[important] += 1
        if self._taken[important] > PER_SECOND:
            self._dropped += 1
            return
        number = self._number + 1
        try:
            content = _encode(number, self._formatter.fields(record))
            line = Line(number, content, _encode(number, self._formatter.metadata(record)))
        except Exception:
            self.handleError(record)
            return
        self._number = number
        self._lines.append(line)
        self._chars += line.size
        while len(self._lines) > MAX_LINES or self._chars > MAX_CHARS:
            self._chars -= self._lines.popleft().size

    def position(self) -> tuple[int, int]:
        """The number of the newest line, and how many records were left out so far."""
        return self._number, self._dropped

    def frame(self, content: bool, after: tuple[int, int] | None = None) -> tuple[str, int]:
        """The lines since a `position`, or all, as an encoded LogFrame, and how many they are."""
        self.acquire()
        try:
            number, dropped = after or (0, self._dropped)
            lines = [line for line in self._lines if line.number > number]
            lost = self._number - number - len(lines) if after else 0  # kept too short to be sent
            left_out = self._dropped - dropped + lost
        finally:
            self.release()
        frame = LogFrame(self._host, list(_raw(lines, content)), left_out)
        return msgspec.json.encode(frame).decode(), len(lines)


def _encode(number: int, fields: dict[str, object]) -> bytes:
    fields["number"] = number
    fields["message"] = str(fields["message"])[:MAX_LINE_CHARS]
    if "exception" in fields:
        fields["exception"] = str(fields["exception"])[-MAX_LINE_CHARS:]
    return msgspec.json.encode(fields)


def _raw(lines: Iterable[Line], content: bool) -> Iterable[Raw]:
    return (Raw(line.content if content else line.metadata) for line in lines)
