"""Base class of the vendors' parsers: server-sent events in, our events out, for one answer. Synchronous, without I/O;
response_decoder.py calls them.

A parser decodes each chunk strictly, into structs with the fields that it reads, because that is fast. A chunk that
does not fit is read again by lenient readers (lenient_json.py), and its `_coerce` is the one place that says what a
value of another type means (fields.py). Leaf values are checked where they are used.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, Generic, TypeVar
from uuid import uuid4

import msgspec

from ..events import TextDelta, ThinkingDelta, ToolCall, ToolCallDelta
from ..limits import Limits
from ..messages import Replay
from .errors import find_message
from .fields import UnreadableError, is_empty, is_numbered, object_of
from .lenient_json import NotJSONError, join_halves, read_json
from .provider import Completion

logger = logging.getLogger("nous_chat.engine")

Delta = TextDelta | ThinkingDelta | ToolCallDelta | ToolCall

_T = TypeVar("_T")

_MAX_QUOTE = 200  # characters of a body in an error

DECLINED = "The model declined to answer this."
"""The refusal of a model that gives no explanation for readers."""


class ForeignDataError(ValueError):
    """A server sent JSON that is no part of an answer on its wire: a status, a ping, an error in a form of its own.
    `value` is that JSON."""

    def __init__(self, value: object) -> None:
        super().__init__("no part of an answer")
        self.value = value


class ExcessiveCallsError(ValueError):
    """There are more tool calls, or longer ones, than the limits accept. Reading on would only take memory and
    time."""


class Parser(ABC, Generic[_T]):
    """The state of one answer. A vendor's parser implements the abstract methods and sets the attributes. `_T` is the
    struct of its chunks.

    `streams_json` is true for wires where a body without server-sent events is a stream of JSON objects, each of which
    counts as an event. `text_after_end` is true for wires where text may follow a finish reason.
    """

    streams_json = False
    text_after_end = False

    def __init__(self) -> None:
        self.limits = Limits()
        """Set by the provider."""
        self.streamed_tools: Collection[str] = ()
        """Set by the provider: the names of the tools whose arguments make a ToolCallDelta for each piece."""
        self.progress = 0
        """Counts the pieces of the answer, including those that make no event yet. Anything else that a server sends
        does not postpone the idle deadline."""
        self.started = False
        """Something arrived that belongs to this wire."""
        self.complete = False
        """The server has signalled completion: later data may be ignored, and a missing tail is not an error."""
        self.ended = False
        """The server has signalled that nothing more will come."""
        self.error: object = None
        """The error that the server reported in the middle of its answer: a JSON object, or text."""
        self.failure = ""
        """The finish reason, if it says that the server could not finish its answer."""
        self.has_halves = False
        """A chunk was not valid JSON or not valid Unicode, so deltas may begin and end inside a character."""

    @abstractmethod
    def feed(self, event: str, data: bytes) -> list[Delta]:
        """Parse one server-sent event. Ignores unknown fields. Raises NotJSONError, UnreadableError and
        ForeignDataError, before anything of the event has counted, and ExcessiveCallsError."""

    @abstractmethod
    def parse_whole(self, body: bytes) -> list[Delta]:
        """Parse a whole answer in one JSON object, from a server that does not stream. Raises like `feed`."""

    def flush(self) -> Sequence[Delta]:
        """The text held back to see what comes after it. Called at the end of every answer; empty the second time."""
        return ()

    @abstractmethod
    def tool_calls(self) -> Sequence[ToolCall]:
        """The tool calls of a complete answer. Before its end they may still lack pieces."""

    @abstractmethod
    def completion(self) -> Completion:
        """How the answer ended, or what is known about that so far."""

    @abstractmethod
    def _coerce(self, chunk: dict[str, Any]) -> _T:
        """A chunk in which known fields have other types than usual. Raises UnreadableError."""

    def _decode(self, decoder: msgspec.json.Decoder[_T], data: bytes) -> _T | None:
        """A chunk, None for an empty one. Raises like `feed`."""
        try:
            return decoder.decode(data)
        except (ValueError, RecursionError):
            pass
        value = read_json(data)
        self.has_halves = True
        if is_empty(value):
            return None
        if not isinstance(value, dict):
            raise ForeignDataError(value)
        return self._coerce(value)

    def _check_foreign(self, data: bytes) -> None:
        """Raise ForeignDataError if an object without a part of an answer holds chunks, or says something."""
        value = read_json(data)
        if isinstance(value, dict) and is_numbered(value):
            raise ForeignDataError(list(value.values()))
        if find_message(value):
            raise ForeignDataError(value)

    def _check_calls(self, calls: int, argument_chars: int) -> None:
        """Raise ExcessiveCallsError if the answer has too many calls so far, or too long ones."""
        if excess := self.limits.excess(calls, argument_chars):
            raise ExcessiveCallsError(excess)

    def _fail(self, data: bytes) -> None:
        """The server reported an error: `data` in JSON, or as text."""
        self.started = True
        try:
            self.error = join_halves(read_json(data)) or data.decode("utf-8", "replace")
        except NotJSONError:
            self.error = data.decode("utf-8", "replace")

    def _whole_replay(self, wire: str, content: Any) -> Replay | None:
        """A Replay in whole characters. None if its nesting is too deep to send it back."""
        try:
            return Replay(wire, join_halves(content) if self.has_halves else content)
        except RecursionError:
            return None


def fields_of(kind: type[_T], value: object, field: str) -> _T:
    """The struct of that kind whose fields are all Any, from a JSON object."""
    return msgspec.convert(object_of(value, field), kind)


def without_answer(body: bytes) -> str:
    """What a body of JSON without an answer is called in an error."""
    text = body.decode("utf-8", "replace")
    return f"JSON without an answer: {text[:_MAX_QUOTE]}{'…' if len(text) > _MAX_QUOTE else ''}"


def generate_call_id() -> str:
    """An id for a call that came without one. Nine letters and digits, the only form that every vendor accepts."""
    return uuid4().hex[:9]


__all__ = [
    "DECLINED",
    "Delta",
    "ExcessiveCallsError",
    "ForeignDataError",
    "NotJSONError",
    "Parser",
    "UnreadableError",
    "fields_of",
    "generate_call_id",
    "without_answer",
]
