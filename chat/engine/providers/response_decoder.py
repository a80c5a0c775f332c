"""Decoder of one response body: bytes in, however they are cut, and deltas out. Synchronous, without I/O.

The content type cannot be trusted, so the first byte decides how the body is read: as server-sent events, as a stream
of JSON objects (for wires that have one), as a single JSON object (from a server that ignores `stream`), or as HTML
(from something that is no provider).
"""

import logging
from collections.abc import Iterable

from ..exceptions import EngineError
from ..sse import EventTooLongError, ServerSentEvent, SSEDecoder
from .errors import ProviderErrors
from .json_stream import JSONStreamDecoder
from .parser import Delta, NotJSONError, Parser

logger = logging.getLogger("nous_chat.engine")

_MAX_BYTES = 8 * 1024 * 1024  # of one event, and of a whole answer as JSON
_MAX_LEADING_BLANKS = 1024  # bytes in which to look for the first that is no blank


class ResponseDecoder:
    """Call `decode` with each chunk, and with b"" at the end of the body, until `done`. Then `error` is None, or why
    the answer failed; the deltas that `decode` returned before are valid in both cases."""

    def __init__(self, parser: Parser, errors: ProviderErrors, max_bytes: int = _MAX_BYTES) -> None:
        self.done = False
        self.error: EngineError | None = None
        self._parser = parser
        self._errors = errors
        self._max_bytes = max_bytes
        self._events: SSEDecoder | JSONStreamDecoder | None = None  # None until the first byte has decided
        self._undecoded = bytearray()  # the body so far, while there is no `_events`
        self._debug = logger.isEnabledFor(logging.DEBUG)

    def decode(self, chunk: bytes) -> list[Delta]:
        """The deltas that this chunk completes. Never raises because of what a server sends."""
        deltas: list[Delta] = []
        try:
            if self._events is not None:
                self._parse_events(self._events.decode(chunk) if chunk else self._events.flush(), deltas)
            else:
                self._start(chunk, deltas)
            if not self.done and not chunk:
                self._finish(deltas)
        except EventTooLongError:
            self._fail(self._errors.bad_response("one piece of more than 8 MB"))
        except NotJSONError:
            # At the end of the body it is the first half of something, and the connection was cut.
            self._fail(self._errors.bad_response("something that is no JSON") if chunk else self._errors.cut_off())
        if self.error:
            deltas += self._parser.flush()
        return deltas

    def _start(self, chunk: bytes, deltas: list[Delta]) -> None:
        """Decide by the first byte that is no blank."""
        self._undecoded += chunk
        first = bytes(self._undecoded[:_MAX_LEADING_BLANKS]).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        if first in (b"{", b"[") and not self._parser.streams_json:
            self._whole(chunk, deltas)
        elif first == b"<":
            self._fail(self._errors.bad_response("a web page"))
        elif first or len(self._undecoded) >= _MAX_LEADING_BLANKS:
            streams_json = first in (b"{", b"[")
            self._events = JSONStreamDecoder(self._max_bytes) if streams_json else SSEDecoder(self._max_bytes)
            self._parse_events(self._events.decode(bytes(self._undecoded)), deltas)

    def _whole(self, chunk: bytes, deltas: list[Delta]) -> None:
        """A single JSON object, which can be parsed at the end of the body only."""
        if len(self._undecoded) > self._max_bytes:
            raise EventTooLongError
        if not chunk:
            self._log("whole", self._undecoded)
            deltas += self._parser.parse_whole(bytes(self._undecoded))
            self._check_parser_error()

    def _parse_events(self, events: Iterable[ServerSentEvent], deltas: list[Delta]) -> None:
        for event, data in events:
            self._log(event or "?", data)
            deltas += self._parser.feed(event, data)
            self._check_parser_error()
            if self.done:
                return
            if self._parser.ended:
                self._finish(deltas)
                return

    def _log(self, event: str, data: bytes | bytearray) -> None:
        if self._debug:
            logger.debug("%s: %s", event, self._errors.mask(data.decode("utf-8", "replace")))

    def _check_parser_error(self) -> None:
        if self._parser.error is not None:
            self._fail(self._errors.in_stream(self._parser.error))

    def _finish(self, deltas: list[Delta]) -> None:
        self.done = True
        if self._parser.complete:
            deltas += self._parser.flush()
            deltas += self._parser.tool_calls()
        elif self._parser.started:
            self.error = self._errors.cut_off()
        else:
            self.error = self._errors.bad_response("something else" if self._undecoded else "nothing")

    def _fail(self, error: EngineError) -> None:
        self.done = True
        self.error = error
