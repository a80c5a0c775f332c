"""The events of a stream, a closed list. Providers make the deltas and tool calls; the runner makes the one Finish or
Error that ends every stream. In JSON, the field `type` tells them apart."""

from typing import ClassVar

import msgspec

from .exceptions import EngineError
from .messages import Result, ToolCall


class TextDelta(msgspec.Struct, frozen=True, tag_field="type", tag="text_delta"):
    """A piece of the answer. It may begin or end in the middle of a grapheme, so never trim or normalise one."""

    kind: ClassVar[str] = "text"
    text: str


class ThinkingDelta(msgspec.Struct, frozen=True, tag_field="type", tag="thinking_delta"):
    """A piece of the model's thinking, before or between its words."""

    kind: ClassVar[str] = "thinking"
    text: str


class ToolCallDelta(msgspec.Struct, frozen=True, tag_field="type", tag="tool_call_delta"):
    """A piece of the arguments of a tool call while the model writes them: `text` is a part of their JSON. The ToolCall
    with the same `id` follows when they are complete, unless the answer breaks off. For tools with `stream_arguments`.
    """

    id: str
    name: str
    text: str


class ToolResult(msgspec.Struct, frozen=True, tag_field="type", tag="tool_result"):
    """The result of a tool call, as the model gets it. `failed` is true if `text` is an error."""

    id: str
    name: str
    text: str
    failed: bool = False


class RetryWait(msgspec.Struct, frozen=True, tag_field="type", tag="retry_wait"):
    """The provider asked to wait, or had a problem: the same request follows after this many seconds. `code` is the
    error's. Shorter waits than a second are not announced."""

    seconds: float
    code: str


class Fallback(msgspec.Struct, frozen=True, tag_field="type", tag="fallback"):
    """The model before does not answer, or is not asked (breaker.py); `model`, as "provider:model", is asked instead.
    `code` is that of the error."""

    model: str
    code: str


class Finish(msgspec.Struct, frozen=True, tag_field="type", tag="finish"):
    """The answer is complete. The last event of a stream."""

    result: Result


class Error(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """The answer failed; `result` holds the part received before. The last event of a stream."""

    error: EngineError
    result: Result


__all__ = [
    "Error",
    "Event",
    "Fallback",
    "Finish",
    "RetryWait",
    "TextDelta",
    "ThinkingDelta",
    "ToolCall",
    "ToolCallDelta",
    "ToolResult",
]

Event = TextDelta | ThinkingDelta | ToolCallDelta | ToolCall | ToolResult | RetryWait | Fallback | Finish | Error
