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


class Finish(msgspec.Struct, frozen=True, tag_field="type", tag="finish"):
    """The answer is complete. The last event of a stream."""

    result: Result


class Error(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """The answer failed; `result` holds the part received before. The last event of a stream."""

    error: EngineError
    result: Result


__all__ = ["Error", "Event", "Finish", "RetryWait", "TextDelta", "ThinkingDelta", "ToolCall", "ToolResult"]

Event = TextDelta | ThinkingDelta | ToolCall | ToolResult | RetryWait | Finish | Error
