"""Decoder of a stream of JSON objects, in an array or one after another. Bytes in, objects out, without I/O. For wires
that do not use server-sent events; response_decoder.py calls it. An object comes out with its last brace."""

import re
from collections.abc import Iterator

from ..sse import EventTooLongError, ServerSentEvent
from .lenient_json import NotJSONError

_OUTSIDE_STRING = re.compile(rb'["{}]')
_INSIDE_STRING = re.compile(rb'["\\]')
_SEPARATORS = b"\xef\xbb\xbf \t\r\n,[]"


class JSONStreamDecoder:
    """The counterpart of SSEDecoder, with the same methods and promises. `max_object` is in bytes."""

    def __init__(self, max_object: int = 8 * 1024 * 1024) -> None:
        self._max_object = max_object
        self._object = bytearray()  # the start of an object that has not ended yet
        self._depth = 0
        self._in_string = False
        self._escaped = False

    @property
    def inside(self) -> bool:
        """True in the middle of an object."""
        return self._depth > 0

    def decode(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The objects that this chunk completes, as events named "message". Raises NotJSONError and EventTooLongError;
        the decoder cannot be used after that."""
        start = position = 0
        while position < len(chunk):
            if self._escaped:
                self._escaped = False
                position += 1
                continue
            found = (_INSIDE_STRING if self._in_string else _OUTSIDE_STRING).search(chunk, position)
            if found is None:
                break
            mark, position = found[0], found.end()
            if mark == b"\\":
                self._escaped = True
            elif mark == b'"':
                if not self._depth:
                    raise NotJSONError("a string outside of an object")
                self._in_string = not self._in_string
            elif mark == b"{":
                if not self._depth:
                    _check_separators(chunk[start : position - 1])
                    start = position - 1
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth < 0:
                    raise NotJSONError("one closing brace too many")
                if not self._depth:
                    self._append(chunk[start:position])
                    event = ServerSentEvent("message", bytes(self._object))
                    self._object.clear()
                    start = position
                    yield event
        if self._depth:
            self._append(chunk[start:])
        else:
            _check_separators(chunk[start:])

    def flush(self) -> Iterator[ServerSentEvent]:
        """Nothing is held back, so nothing comes out. Raises NotJSONError if the body ended inside an object."""
        if self._depth:
            raise NotJSONError("half an object")
        yield from ()

    def _append(self, data: bytes) -> None:
        self._object += data
        if len(self._object) > self._max_object:
            raise EventTooLongError(f"an object of more than {self._max_object} bytes")


def documents(data: bytes) -> list[bytes]:
    """The objects in `data`, one after another or in an array. Raises NotJSONError if there is anything else."""
    decoder = JSONStreamDecoder(len(data))
    return [event.data for event in decoder.decode(data)] + [event.data for event in decoder.flush()]


def _check_separators(between: bytes) -> None:
    if between.strip(_SEPARATORS):
        raise NotJSONError("something between the objects")
