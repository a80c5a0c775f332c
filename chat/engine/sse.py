"""Decoder of server-sent events: bytes in, events out. No I/O.

The format is that of the HTML standard (section 9.2.6, "Interpreting an event stream"), with three additions for what
model servers really send: the last event counts even without its blank line; a line that is no field of the standard
becomes an event as well, because some servers report errors in such lines; and a byte order mark, NULs or blanks may
precede any line. Some servers open a new writer for each event, which begins with a byte order mark; some send the NUL
that ends a C string.
"""

from collections.abc import Iterator
from typing import NamedTuple

_IGNORED_AT_START = b"\xef\xbb\xbf\0 \t"
_COLON = ord(":")


class ServerSentEvent(NamedTuple):
    """`event` is the name, "message" by default; "" marks a whole line that is no field of the standard. `data` should
    be UTF-8, but not every server keeps to that."""

    event: str
    data: bytes


class EventTooLongError(ValueError):
    """One event is longer than the limit. Reading on would only fill the memory."""


class SSEDecoder:
    """Call `decode` for each chunk and `flush` at the end of the body. `max_event` is in bytes.

    Lines end at \\n, \\r\\n and \\r and nowhere else. U+2028 and U+0085, where `str.splitlines` and httpx split as
    well, are legal inside JSON strings.

    Both methods are generators, and the events before an error come out before it is raised. The result therefore
    does not depend on how the network cut the body into chunks.
    """

    def __init__(self, max_event: int = 8 * 1024 * 1024) -> None:
        self._max_event = max_event
        self._line = bytearray()  # the start of a line that has not ended yet
        self._ended_in_cr = False  # a \n that comes next belongs to that \r
        self._name = ""
        self._data: list[bytes] = []
        self._data_size = 0

    def decode(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that this chunk completes. The time is linear in the bytes, however small the chunks are.

        Raises EventTooLongError; the decoder cannot be used after that.
        """
        if self._ended_in_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
            self._ended_in_cr = False
        if not chunk:
            return
        self._ended_in_cr = chunk.endswith(b"\r")
        lines = chunk.splitlines()  # bytes.splitlines: at \n, \r\n and \r only
        rest = b"" if chunk.endswith((b"\r", b"\n")) else lines.pop()
        if self._line and lines:
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
        yield from self._interpret(lines)
        self._line += rest
        self._check_size(len(self._line))

    def flush(self) -> Iterator[ServerSentEvent]:
        """At the end of the body: the last event, if its blank line or its line end is missing."""
        lines = [bytes(self._line), b""] if self._line else [b""]
        self._line.clear()
        yield from self._interpret(lines)

    def _interpret(self, lines: list[bytes]) -> Iterator[ServerSentEvent]:
        for line in lines:
            if not line:
                if self._data:
                    data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                    yield ServerSentEvent(self._name or "message", data)
                    self._data = []
                    self._data_size = 0
                self._name = ""
            elif line.startswith(b"data:"):
                self._append(line, line[6:] if line[5:6] == b" " else line[5:])
            else:
                # `decode` limits a line that has not ended yet. Limit a complete one too, so that the result does not
                # depend on the chunks.
                self._check_size(len(line))
                if line[0] in _IGNORED_AT_START:
                    yield from self._interpret([line.lstrip(_IGNORED_AT_START)])
                elif line[0] != _COLON:  # a leading colon makes a comment
                    yield from self._other_field(line)

    def _other_field(self, line: bytes) -> Iterator[ServerSentEvent]:
        field, _, value = line.partition(b":")
        if field == b"event":
            self._name = value.removeprefix(b" ").decode("utf-8", "replace")
        elif field == b"data":
            self._append(line, b"")
        elif field not in (b"id", b"retry"):
            yield ServerSentEvent("", line)

    def _append(self, line: bytes, data: bytes) -> None:
        self._data.append(data)
        self._data_size += len(line)
        self._check_size(self._data_size)

    def _check_size(self, size: int) -> None:
        if size > self._max_event:
            raise EventTooLongError(f"an event of more than {self._max_event} bytes")
