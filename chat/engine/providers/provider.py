"""What every provider is: a Request goes in, deltas and tool calls come out, a Completion last. The runner calls it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from ..events import TextDelta, ThinkingDelta, ToolCall
from ..limits import Limits
from ..messages import Message, Replay
from ..usage import Usage


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as a model is told of it; `schema` is a JSON Schema of its arguments, an object."""

    name: str
    description: str
    schema: dict[str, Any]


class Request(msgspec.Struct, frozen=True):
    """One question to a model. `settings` are the vendor's own fields, passed on as they are. `output_schema` asks for
    an answer in that JSON Schema, on wires that can.
    """

    messages: Sequence[Message]
    instructions: str = ""
    limits: Limits = Limits()
    settings: Mapping[str, Any] = {}
    tools: Sequence[ToolSpec] = ()
    output_schema: dict[str, Any] | None = None


class Completion(msgspec.Struct, frozen=True):
    """How an answer ended: the provider's own word for why, its token counts, what the model refused to say, and the
    turn as the vendor wants it back in the next request, where that is more than text and tool calls.
    """

    finish_reason: str | None = None
    usage: Usage | None = None
    refusal: str = ""
    replay: Replay | None = None


class Provider(Protocol):
    """One model of one vendor. `name` and `model` are the two halves of "provider:model"."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str: ...

    def stream(self, request: Request) -> AsyncGenerator[TextDelta | ThinkingDelta | ToolCall | Completion, None]:
        """The answer, then one Completion. Raises EngineError where it fails, after a Completion with what is known
        if anything is. Closing the generator closes the connection."""
        ...
