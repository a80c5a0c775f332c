"""Bytes in, JSON objects out: of an array, one after the other, or a single one. No I/O; body.py feeds it where a wire
comes without server-sent events. Each object comes as soon as its last brace is there."""

import re

from ..sse import EventTooLongError, ServerSentEvent
from .parser import NotJSONError

_OUTSIDE = re.compile(rb'["{}]')
_INSIDE = re.compile(rb'["\\]')  # a string
_BETWEEN = b"\xef\xbb\xbf \t\r\n,[]"


class JSONStreamDecoder:
    """The counterpart of SSEDecoder: `decode`, and `flush` at the end. `max_object` is in bytes."""

    def __init__(self, max_object: int = 8 * 1024 * 1024) -> None:
        self._max_object = max_object
        self._object = bytearray()  # the beginning of one whose end has not come yet
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def decode(self, chunk: bytes) -> list[ServerSentEvent]:
        """The objects that these bytes complete. Raises NotJSONError and EventTooLongError, and is then of no use."""
        events: list[ServerSentEvent] = []
        start = at = 0
        while at < len(chunk):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = (_INSIDE if self._in_string else _OUTSIDE).search(chunk, at)
            if found is None:
                break
            mark, at = found[0], found.end()
            if mark == b"\\":
                self._escaped = True
            elif mark == b'"':
                if not self._depth:
                    raise NotJSONError("a string outside of an object")
                self._in_string = not self._in_string
            elif mark == b"{":
                if not self._depth:
                    _check(chunk[start : at - 1])
                    start = at - 1
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth < 0:
                    raise NotJSONError("a brace too many")
                if not self._depth:
                    self._keep(chunk[start:at])
                    events.append(ServerSentEvent("message", bytes(self._object)))
                    self._object.clear()
                    start = at
        if self._depth:
            self._keep(chunk[start:])
        else:
            _check(chunk[start:])
        return events

    def flush(self) -> list[ServerSentEvent]:
        if self._depth:
            raise NotJSONError("half an object")
        return []

    def _keep(self, data: bytes) -> None:
        self._object += data
        if len(self._object) > self._max_object:
            raise EventTooLongError(f"an object of more than {self._max_object} bytes")


def _check(between: bytes) -> None:
    if between.strip(_BETWEEN):
        raise NotJSONError("something between the objects")
