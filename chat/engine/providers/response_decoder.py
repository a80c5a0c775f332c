"""Decoder of one response body: bytes in, however they are cut, and deltas out. Synchronous, without I/O.

The content type cannot be trusted, so the first byte decides how the body is read: as server-sent events, as a stream
of JSON objects (for wires that have one), as a single JSON object (from a server that ignores `stream`), or as HTML
(from something that is no provider).

Known faults of framing are read as they were meant: several documents in one event, `data:` written twice, JSON objects
without a frame or one after another. Other data is a heartbeat or a status if the answer continues after it. If the
answer does not continue, the data says why.
"""

import json
import logging
import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from ..events import TextDelta, ToolCall
from ..exceptions import EngineError
from ..messages import CONTINUABLE_FINISH_REASONS, LENGTH_FINISH_REASONS
from ..sse import EventTooLongError, ServerSentEvent, SSEDecoder
from .errors import ProviderErrors, find_message
from .json_stream import JSONStreamDecoder, documents
from .lenient_json import STRAY, CharacterJoiner, join_halves, read_json
from .parser import Delta, ExcessiveCallsError, ForeignDataError, NotJSONError, Parser, UnreadableError

logger = logging.getLogger("nous_chat.engine")

# An answer may be empty if its finish reason tells the reader why.
_EMPTY_ENDS = CONTINUABLE_FINISH_REASONS | {"content_filter"}

_MAX_BYTES = 8 * 1024 * 1024  # of one event, and of a whole answer as JSON
_MAX_LEADING_BLANKS = 1024  # bytes in which to look for the first that is no blank
# Words of an error, in data that is no part of an answer.
_TROUBLE = re.compile(
    r"error|fail|exceed|limit|time.?out|timed out|unavailable|denied|invalid|quota|busy|overload|abort|refused"
    r"|not found",
    re.IGNORECASE,
)
_JSON = re.compile(rb'\{|\[\s*[\[{"]')  # the beginning of an object, or of an array with more than plain words
_REPEATED_FIELD = re.compile(rb"^(data:[ \t]*)+")


class ResponseDecoder:
    """Call `decode` with each chunk, and with b"" at the end of the body, until `done`. Then `error` is None, or why
    the answer failed; the deltas that `decode` returned before are valid in both cases.

    After the results of tools a model may have nothing to say: `may_be_empty`. Any other empty answer is an error.
    `with_parameters` are the names of the tools that take arguments. If a call of one of them has no arguments at all,
    not even {}, they were lost, and become None.
    """

    def __init__(
        self,
        parser: Parser[Any],
        errors: ProviderErrors,
        max_bytes: int = _MAX_BYTES,
        *,
        may_be_empty: bool = False,
        with_parameters: Collection[str] = (),
    ) -> None:
        self.done = False
        self.error: EngineError | None = None
        self._parser = parser
        self._errors = errors
        self._max_bytes = max_bytes
        self._may_be_empty = may_be_empty
        self._with_parameters = with_parameters
        self._events: SSEDecoder | JSONStreamDecoder | None = None  # None until the first byte has decided
        self._undecoded = bytearray()  # the body so far, while there is no `_events`
        self._bare: JSONStreamDecoder | None = None  # reads JSON that spreads over lines without a frame
        self._foreign: object = None  # the last data that was no part of an answer, and how far that was then
        self._foreign_at = 0
        self._unknown = ""  # the first line of a body that is not of this wire
        self._characters = CharacterJoiner()
        self._has_text = False
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
            self._fail(self._errors.too_large(f"one piece of more than {self._max_bytes:,} bytes"))
        except ExcessiveCallsError as error:
            self._fail(self._errors.too_large(str(error)))
        except NotJSONError:
            if chunk:
                self._fail(self._errors.bad_response("something that is no JSON"))
            else:
                self._end_inside(deltas)
        except UnreadableError as error:
            self._fail(self._errors.bad_response(str(error)))
        except RecursionError:
            self._fail(self._errors.bad_response("JSON that is nested too deeply"))
        if self.error:
            deltas += self._parser.flush()
        if not self._has_text:
            self._has_text = _has_text(deltas)
        return self._joined(deltas) if self._parser.has_halves else deltas

    def flush(self) -> list[Delta]:
        """The text held back, when no more chunks come. Empty the second time."""
        self.done = True
        return self._joined(self._parser.flush())

    def _joined(self, deltas: Sequence[Delta]) -> list[Delta]:
        """The deltas with the halves of characters joined."""
        joined: list[Delta] = []
        for delta in deltas:
            whole = delta if isinstance(delta, ToolCall) else self._characters.join(delta)
            if whole is not None:
                joined.append(whole)
        return [*joined, *self._characters.flush()] if self.done else joined

    def _start(self, chunk: bytes, deltas: list[Delta]) -> None:
        """Decide by the first byte that is no blank."""
        self._undecoded += chunk
        first = bytes(self._undecoded[:_MAX_LEADING_BLANKS]).lstrip(STRAY)[:1]
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
        if chunk:
            return
        self._log("whole", self._undecoded)
        body = bytes(self._undecoded).strip(STRAY)
        try:
            deltas += self._parser.parse_whole(body)
        except NotJSONError:
            stream = JSONStreamDecoder(self._max_bytes)
            try:
                self._parse_events(stream.decode(body), deltas)
            except NotJSONError as error:
                raise UnreadableError("something that is no JSON") from error
            if not self.done:
                self._parse_events(stream.flush(), deltas)
        except ForeignDataError as foreign:
            self._read_foreign(foreign.value, deltas)
        if not self.done:
            self._check_parser_error()

    def _parse_events(self, events: Iterable[ServerSentEvent], deltas: list[Delta]) -> None:
        for event, data in events:
            self._log(event or "?", data)
            if not event:
                self._feed_line(data.strip(STRAY), deltas)
            else:
                self._feed(event, data, deltas)
            self._check_parser_error()
            if self.done:
                return
            if self._parser.ended:
                self._finish(deltas)
                return

    def _feed(self, event: str, data: bytes, deltas: list[Delta]) -> None:
        try:
            deltas += self._parser.feed(event, data)
        except NotJSONError:
            self._feed_meant(event, data, deltas)
        except ForeignDataError as foreign:
            self._read_foreign(foreign.value, deltas)

    def _feed_meant(self, event: str, data: bytes, deltas: list[Delta]) -> None:
        """Data that is no JSON: read it as it was meant, or take it for a heartbeat.

        Broken JSON may have held a part of the answer: raises NotJSONError for half of it, UnreadableError otherwise.
        """
        text = _REPEATED_FIELD.sub(b"", data.strip(STRAY))
        parts = [part for part in text.splitlines() if part.strip(STRAY)]
        if len(parts) == 1 and text == data and _JSON.match(text):
            parts = documents(text)
            if len(parts) < 2:
                raise UnreadableError("something that is no JSON")
        if len(parts) > 1 or text != data:
            for part in parts:
                if not self._parser.ended:
                    self._feed(event, part, deltas)
        elif event == "message" and not (text.startswith(b"[DONE]") or b"[DONE]".startswith(text)):
            self._note(text.decode("utf-8", "replace"))

    def _feed_line(self, line: bytes, deltas: list[Delta]) -> None:
        """A line without a frame: an error, or JSON that may spread over many lines. The answer is not complete before
        that JSON is, whatever came before it."""
        if self._bare is None:
            if line.startswith(b"error:"):
                self._feed("error", line.removeprefix(b"error:").strip(), deltas)
                return
            if line.startswith(b"[DONE]"):
                self._feed("message", line, deltas)
                return
            if line.startswith((b"{", b"[", b'"')):
                with suppress(NotJSONError):
                    read_json(line)
                    self._feed("message", line, deltas)
                    return
            if not line.startswith((b"{", b"[")):
                text = line.decode("utf-8", "replace")
                if self._parser.started:
                    self._note(text)
                else:
                    self._unknown = self._unknown or text[:200]
                return
            self._bare = JSONStreamDecoder(self._max_bytes)
        try:
            found = list(self._bare.decode(line + b"\n"))
        except NotJSONError:
            found = []
        if not self._bare.inside:
            self._bare = None
        for event, data in found:
            self._feed(event, data, deltas)

    def _read_foreign(self, value: object, deltas: list[Delta]) -> None:
        """JSON that is no chunk of the wire: chunks in an array, a chunk that was encoded twice, or no part of an
        answer."""
        if isinstance(value, list):
            for item in value:
                if not isinstance(item, dict):
                    self._read_foreign(item, deltas)
                elif not self._parser.ended:
                    self._feed("message", json.dumps(item).encode(), deltas)
        elif isinstance(value, str) and value.startswith(("{", "[")):
            self._feed("message", value.encode("utf-8", "surrogatepass"), deltas)
        else:
            self._note(value)

    def _note(self, value: object) -> None:
        if find_message(value) and not self._parser.complete:
            self._foreign, self._foreign_at = value, self._parser.progress

    def _log(self, event: str, data: bytes | bytearray) -> None:
        if self._debug:
            logger.debug("%s: %s", event, self._errors.mask(data.decode("utf-8", "replace")))

    def _check_parser_error(self) -> None:
        if self._parser.error is not None:
            self._fail(self._errors.in_stream(join_halves(self._parser.error)))

    def _end_inside(self, deltas: list[Delta]) -> None:
        """The body ended in the middle of a chunk. After the finish reason that chunk held no text."""
        if self._parser.complete and not self._parser.text_after_end:
            self._finish(deltas)
        else:
            self._fail(self._errors.cut_off())

    def _finish(self, deltas: list[Delta]) -> None:
        parser = self._parser
        self.done = True
        if self._foreign is not None and self._foreign_at == parser.progress and self._explains_end(deltas):
            self.error = self._errors.in_stream(join_halves(self._foreign))
        elif self._bare is not None:
            self.error = self._errors.cut_off()
        elif parser.complete:
            self._end_complete(deltas)
        elif parser.started:
            self.error = self._errors.cut_off()
        else:
            found = f"something else: {self._unknown}" if self._unknown else "something else"
            self.error = self._errors.bad_response(found if self._undecoded else "nothing")

    def _explains_end(self, deltas: list[Delta]) -> bool:
        """Whether the foreign data after the last piece of the answer is why the answer ended. Before a finish reason
        that says otherwise it is a heartbeat, unless it speaks of an error."""
        has_text = self._has_text or _has_text(deltas)
        well = has_text and self._parser.complete and self._parser.completion().finish_reason is not None
        return not well or bool(_TROUBLE.search(find_message(self._foreign)))

    def _end_complete(self, deltas: list[Delta]) -> None:
        deltas += self._parser.flush()
        completion, calls = self._parser.completion(), list(self._parser.tool_calls())
        reason = completion.finish_reason
        if self._parser.failure:
            self.error = self._errors.failed_end(self._parser.failure)
        elif calls:
            cut_off = calls[-1] if reason in LENGTH_FINISH_REASONS else None
            for call in calls:
                lost = call.raw.strip() in ("", "null") and (call is cut_off or call.name in self._with_parameters)
                deltas.append(replace(call, arguments=None) if lost else call)
        elif not (
            self._has_text or _has_text(deltas) or completion.refusal or self._may_be_empty or reason in _EMPTY_ENDS
        ):
            self.error = self._errors.empty(reason)

    def _fail(self, error: EngineError) -> None:
        self.done = True
        self.error = error


def _has_text(deltas: Iterable[Delta]) -> bool:
    return any(isinstance(delta, TextDelta) and not delta.text.isspace() for delta in deltas)
