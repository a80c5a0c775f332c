"""What every vendor's parser is: server-sent events in, our events out. Synchronous, without I/O, for one answer.
providers/base.py feeds it."""

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


class NotJSONError(ValueError):
    """A server sent something else where its wire has JSON."""


class Parser(ABC):
    """State of one answer. A vendor adds `feed`, `end`, `completion` and what else it needs, and sets the rest as it
    learns it. `objects`: a body without server-sent events is a stream of JSON objects, each as good as an event."""

    objects = False

    def __init__(self) -> None:
        self.progress = 0
        """Counts the pieces of the answer, those that make no event yet too. What does not count is no sign of life."""
        self.begun = False
        """Something came that is of this wire."""
        self.complete = False
        """The server has said that the answer is whole: what comes may be dropped, what does not come is not missed."""
        self.over = False
        """The server has said that nothing comes any more."""
        self.error: object = None
        """What the server said went wrong in the middle of its answer: a JSON object, or text."""

    @abstractmethod
    def feed(self, event: str, data: bytes) -> list[Delta]:
        """What one server-sent event says. What we do not know is ignored; raises NotJSONError."""

    def whole(self, body: bytes) -> list[Delta]:
        """A whole answer as one JSON object, from a server that does not stream. Raises NotJSONError."""
        raise NotJSONError("not the form of this wire")

    def flush(self) -> Sequence[Delta]:
        """What was held back to see what follows, however the answer ends. A second time there is nothing."""
        return ()

    @abstractmethod
    def end(self) -> Sequence[ToolCall]:
        """The tool calls, which are known to be whole only now."""

    @abstractmethod
    def completion(self) -> Completion:
        """How the answer ended, or as much as is known of that so far."""


_T = TypeVar("_T")

anything: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any)


def decode(decoder: msgspec.json.Decoder[_T], data: bytes) -> _T | None:
    """JSON as the vendor's type; None, and a line in the debug log, for JSON of another shape. Raises NotJSONError."""
    try:
        return _strictly(decoder, data)
    except (ValueError, RecursionError):
        pass
    try:
        return _strictly(decoder, _mended(data))
    except (ValueError, RecursionError) as error:
        raise NotJSONError(str(error)) from error


def _strictly(decoder: msgspec.json.Decoder[_T], data: bytes) -> _T | None:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        logger.debug("ignored: %s", error)
        return None


def _mended(data: bytes) -> bytes:
    """JSON that msgspec takes, of JSON that only lenient readers take: bytes that are no UTF-8, escapes that are half a
    character, bare control characters, NaN. Some servers send these, and all but a character of it is good."""
    loose = json.loads(data.decode("utf-8", "replace"), strict=False, parse_constant=lambda _: None)
    text = json.dumps(loose, ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def tool_call(identity: str, name: str, raw: str) -> ToolCall:
    """A call whose arguments came as text. No text and "null" mean none."""
    try:
        arguments = decode(anything, raw.encode()) if raw.strip() else {}
    except NotJSONError:
        return ToolCall(identity, name, None, raw)
    arguments = {} if arguments is None else arguments
    return ToolCall(identity, name, arguments if isinstance(arguments, dict) else None, raw)


def made_up_id() -> str:
    """For a call that came without one. Nine letters and digits, which every vendor takes."""
    return uuid4().hex[:9]


def count(value: object) -> int | None:
    """A number of tokens; None for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def total(*counts: int | None) -> int | None:
    """Their sum, None where none is known: for vendors that send no total."""
    known = [number for number in counts if number is not None]
    return sum(known) if known else None
