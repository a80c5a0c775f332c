"""Base class of the vendors' parsers: server-sent events in, our events out, for one answer. Synchronous, without I/O;
response_decoder.py calls them. Below it are the helpers that all parsers share."""

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import uuid4

import msgspec

from ..events import TextDelta, ThinkingDelta, ToolCall
from .provider import Completion

logger = logging.getLogger("nous_chat.engine")

Delta = TextDelta | ThinkingDelta | ToolCall

_T = TypeVar("_T")

DECLINED = "The model declined to answer this."
"""The refusal of a model that gives no explanation for readers."""


class NotJSONError(ValueError):
    """A server sent something else where its wire has JSON."""


class Parser(ABC):
    """The state of one answer. A vendor's parser implements the abstract methods and sets the attributes.

    `streams_json` is true for wires where a body without server-sent events is a stream of JSON objects, each of which
    counts as an event.
    """

    streams_json = False

    def __init__(self) -> None:
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

    @abstractmethod
    def feed(self, event: str, data: bytes) -> list[Delta]:
        """Parse one server-sent event. Ignores what it does not know. Raises NotJSONError."""

    def parse_whole(self, body: bytes) -> list[Delta]:
        """Parse a whole answer in one JSON object, from a server that does not stream. Raises NotJSONError."""
        raise NotJSONError("not the form of this wire")

    def flush(self) -> Sequence[Delta]:
        """The text held back to see what comes after it. Called at the end of every answer; empty the second time."""
        return ()

    @abstractmethod
    def tool_calls(self) -> Sequence[ToolCall]:
        """The tool calls of a complete answer. Before its end they may still lack pieces."""

    @abstractmethod
    def completion(self) -> Completion:
        """How the answer ended, or what is known about that so far."""

    def _decode_chunk(self, decoder: msgspec.json.Decoder[_T], data: bytes) -> _T | None:
        """`decode_json` that also sees an error in an object of another shape."""
        chunk = decode_json(decoder, data)
        if chunk is None:
            other = decode_json(any_json, data)
            if isinstance(other, dict) and other.get("error"):
                self.error = other
        return chunk

    def _fail(self, data: bytes) -> None:
        """The server reported an error: `data` in JSON, or as text."""
        self.started = True
        text = data.decode("utf-8", "replace")
        try:
            self.error = decode_json(any_json, data) or text
        except NotJSONError:
            self.error = text


any_json: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any)


def decode_json(decoder: msgspec.json.Decoder[_T], data: bytes) -> _T | None:
    """Decode JSON as the vendor's type. None, and a line in the debug log, for valid JSON of another shape. Raises
    NotJSONError."""
    try:
        return _decode_strictly(decoder, data)
    except (ValueError, RecursionError):
        pass
    try:
        return _decode_strictly(decoder, _repair(data))
    except (ValueError, RecursionError) as error:
        raise NotJSONError(str(error)) from error


def _decode_strictly(decoder: msgspec.json.Decoder[_T], data: bytes) -> _T | None:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        logger.debug("ignored: %s", error)
        return None


def _repair(data: bytes) -> bytes:
    """Valid JSON, from JSON that only lenient readers accept: invalid UTF-8, lone surrogates in escapes, bare control
    characters, NaN. Some servers send these, and all but one character is usable."""
    loose = json.loads(data.decode("utf-8", "replace"), strict=False, parse_constant=lambda _: None)
    text = json.dumps(loose, ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def parse_tool_call(identity: str, name: str, raw: str) -> ToolCall:
    """A call whose arguments came as text. No text and "null" mean no arguments."""
    try:
        arguments = decode_json(any_json, raw.encode()) if raw.strip() else {}
    except NotJSONError:
        return ToolCall(identity, name, None, raw)
    arguments = {} if arguments is None else arguments
    return ToolCall(identity, name, arguments if isinstance(arguments, dict) else None, raw)


def generate_call_id() -> str:
    """An id for a call that came without one. Nine letters and digits, the only form that every vendor accepts."""
    return uuid4().hex[:9]


def token_count(value: object) -> int | None:
    """`value` if it is an integer, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def sum_counts(*counts: int | None) -> int | None:
    """The sum of the known counts, None if none is known. For vendors that send no total."""
    known = [number for number in counts if number is not None]
    return sum(known) if known else None
