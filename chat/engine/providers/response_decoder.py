"""One response body: bytes in, cut anywhere, deltas out. Synchronous, without I/O; providers/base.py feeds it.

A server that ignores `stream` answers with one JSON object, some wires are JSON objects without more, something that is
no provider answers with HTML, and the content type is not to be trusted: the first byte tells which it is.
"""

import logging
from collections.abc import Iterable

from ..exceptions import EngineError
from ..i18n import _
from ..sse import EventTooLongError, ServerSentEvent, SSEDecoder
from .errors import Failures
from .json_stream import JSONStreamDecoder
from .parser import Delta, NotJSONError, Parser

logger = logging.getLogger("nous_chat.engine")

_MOST = 8 * 1024 * 1024  # bytes of one event, or of a whole answer as JSON
_BLANKS = 1024  # bytes in which to look for the first that is none


class Body:
    """`done` when nothing more is to be read; `failure` if that is no good end. Take what `take` returns first."""

    def __init__(self, parser: Parser, failures: Failures) -> None:
        self.done = False
        self.failure: EngineError | None = None
        self._parser = parser
        self._failures = failures
        self._decoder: SSEDecoder | JSONStreamDecoder = SSEDecoder(_MOST)
        self._streams = False
        self._start = bytearray()  # of a body that is no event stream, or of which that is not known yet
        self._debug = logger.isEnabledFor(logging.DEBUG)

    def take(self, chunk: bytes) -> list[Delta]:
        """What these bytes say; b"" is the end of the body. Never raises for what is in them."""
        deltas: list[Delta] = []
        try:
            if self._streams:
                self._events(self._decoder.decode(chunk) if chunk else self._decoder.flush(), deltas)
            else:
                self._begin(chunk, deltas)
            if not self.done and not chunk:
                self._end(deltas)
        except EventTooLongError:
            self._fail(self._failures.not_its_wire(_("one piece of more than 8 MB")))
        except NotJSONError:
            # At the very end it is half of what it should have been.
            self._fail(self._failures.not_its_wire(_("something that is no JSON")) if chunk else self._failures.cut())
        if self.failure:
            deltas += self._parser.flush()
        return deltas

    def _begin(self, chunk: bytes, deltas: list[Delta]) -> None:
        self._start += chunk
        first = bytes(self._start[:_BLANKS]).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        if first in (b"{", b"[") and self._parser.objects:
            self._streams = True
            self._decoder = JSONStreamDecoder(_MOST)
            self._events(self._decoder.decode(bytes(self._start)), deltas)
        elif first in (b"{", b"["):
            if len(self._start) > _MOST:
                raise EventTooLongError
            if not chunk:
                if self._debug:
                    self._show("whole", self._start)
                deltas += self._parser.whole(bytes(self._start))
                self._check()
        elif first == b"<":
            self._fail(self._failures.not_its_wire(_("a web page")))
        elif first or len(self._start) >= _BLANKS:
            self._streams = True
            self._events(self._decoder.decode(bytes(self._start)), deltas)

    def _events(self, events: Iterable[ServerSentEvent], deltas: list[Delta]) -> None:
        for event, data in events:
            if self._debug:
                self._show(event or "?", data)
            deltas += self._parser.feed(event, data)
            self._check()
            if self.done:
                return
            if self._parser.over:
                self._end(deltas)
                return

    def _show(self, what: str, data: bytes | bytearray) -> None:
        logger.debug("%s: %s", what, self._failures.masked(data.decode("utf-8", "replace")))

    def _check(self) -> None:
        if self._parser.error is not None:
            self._fail(self._failures.in_stream(self._parser.error))

    def _end(self, deltas: list[Delta]) -> None:
        self.done = True
        if self._parser.complete:
            deltas += self._parser.flush()
            deltas += self._parser.end()
        elif self._parser.begun:
            self.failure = self._failures.cut()
        else:
            self.failure = self._failures.not_its_wire(_("something else") if self._start else _("nothing"))

    def _fail(self, failure: EngineError) -> None:
        self.done = True
        self.failure = failure
