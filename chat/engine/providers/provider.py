"""The Provider protocol: a Request in; deltas and tool calls out, and a Completion last. The runner calls it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from ..events import TextDelta, ThinkingDelta, ToolCall, ToolCallDelta
from ..limits import Limits
from ..messages import Message, Replay
from ..usage import Usage


class ToolSpec(msgspec.Struct, frozen=True):
    """The description of a tool for a model. `schema` is the JSON Schema of its arguments, an object. If
    `stream_arguments`, the provider tells of them while the model writes them (`ToolCallDelta`), if it can.
    """

    name: str
    description: str
    schema: dict[str, Any]
    stream_arguments: bool = False


ReasoningEffort = Literal["low", "medium", "high"]
"""How much a model thinks before it answers."""


class Sampling(msgspec.Struct, frozen=True):
    """How a model writes, whichever vendor it is of. None leaves the choice to the model, and not every model accepts
    every value.
    """

    temperature: float | None = None
    """From 0, which repeats itself, to 2."""
    reasoning_effort: ReasoningEffort | None = None


class Request(msgspec.Struct, frozen=True):
    """One request to a model. `settings` are the vendor's own fields, passed on unchanged; they win over `sampling`.
    `output_schema` is a JSON Schema for the answer, which not every wire can enforce.
    """

    messages: Sequence[Message]
    instructions: str = ""
    limits: Limits = Limits()
    settings: Mapping[str, Any] = {}
    tools: Sequence[ToolSpec] = ()
    output_schema: dict[str, Any] | None = None
    sampling: Sampling = Sampling()


class Completion(msgspec.Struct, frozen=True):
    """How an answer ended. `finish_reason` is the provider's own word. `refusal` is what a model says when it declines
    to answer, otherwise "". `replay` is the turn as the vendor wants it back in the next request, if text and tool
    calls are not enough.
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

    def stream(
        self, request: Request
    ) -> AsyncGenerator[TextDelta | ThinkingDelta | ToolCallDelta | ToolCall | Completion, None]:
        """The answer, then one Completion. The ToolCallDeltas of one call have the same `id`, whichever; their calls
        come in the same order. A failing stream raises EngineError; before that it yields a Completion if
        anything is known about the end. Closing the generator closes the connection."""
        ...
