"""Bytes in, server-sent events out. No I/O: providers/base.py reads the bytes, cut wherever the network cut them.

The format is the one of the HTML standard (9.2.6, "Interpreting an event stream"), with two differences for the sake of
what model servers really send: the last event counts without its blank line, and a line that is no field of the
standard comes out too, since some servers report their errors in such lines.
"""

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """`event` is its name, "message" if the server gave none; "" marks a line that is no field of the standard, whole.
    `data` is UTF-8, except where a server breaks its promise."""

    event: str
    data: bytes


class EventTooLongError(ValueError):
    """More bytes in one event than anyone should send. Reading on would only fill the memory."""


class SSEDecoder:
    """Feed it with `decode`, end with `flush`. Lines end at \\n, \\r\\n and \\r and nowhere else: U+2028 and U+0085,
    where `str.splitlines` and httpx cut too, are legal inside JSON strings. `max_event` is in bytes."""

    def __init__(self, max_event: int = 8 * 1024 * 1024) -> None:
        self._max_event = max_event
        self._line = bytearray()  # the beginning of a line whose end has not come yet
        self._ended_in_cr = False  # then a \n that comes next belongs to that \r
        self._at_start = True
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def decode(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that these bytes complete. Costs time in proportion to the bytes, however they are cut.

        Raises EventTooLongError, after which the decoder is of no use.
        """
        if self._ended_in_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
            self._ended_in_cr = False
        if not chunk:
            return []
        self._ended_in_cr = chunk.endswith(b"\r")
        lines = chunk.splitlines()  # of bytes: at \n, \r\n, \r only
        rest = b"" if chunk.endswith((b"\r", b"\n")) else lines.pop()
        if self._line and lines:
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
        self._line += rest
        self._bound(len(self._line))
        return self._interpret(lines)

    def flush(self) -> list[ServerSentEvent]:
        """What is left at the end of the body: a last event that lacks its blank line, or its line end."""
        lines = [bytes(self._line), b""] if self._line else [b""]
        self._line.clear()
        return self._interpret(lines)

    def _interpret(self, lines: list[bytes]) -> list[ServerSentEvent]:
        events: list[ServerSentEvent] = []
        if self._at_start and lines:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)
        for line in lines:
            if not line:
                if self._data:
                    data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                    events.append(ServerSentEvent(self._name or "message", data))
                    self._data = []
                    self._size = 0
                self._name = ""
            elif line.startswith(b"data:"):
                self._add(line, line[6:] if line[5:6] == b" " else line[5:])
            elif line[0] != 58:  # a colon there makes it a comment
                self._other(line, events)
        return events

    def _other(self, line: bytes, events: list[ServerSentEvent]) -> None:
        field, _, value = line.partition(b":")
        if field == b"event":
            self._name = value.removeprefix(b" ").decode("utf-8", "replace")
        elif field == b"data":
            self._add(line, b"")
        elif field not in (b"id", b"retry"):
            events.append(ServerSentEvent("", line))

    def _add(self, line: bytes, data: bytes) -> None:
        self._data.append(data)
        self._size += len(line)
        self._bound(self._size)

    def _bound(self, size: int) -> None:
        if size > self._max_event:
            raise EventTooLongError(f"an event of more than {self._max_event} bytes")
