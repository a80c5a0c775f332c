"""What a stream says: the closed list. Providers make the deltas and the tool calls, the runner makes the one Finish or
Error that ends every stream. The field `type` of their JSON is the tag."""

import msgspec

from .exceptions import EngineError
from .messages import Result, ToolCall


class TextDelta(msgspec.Struct, frozen=True, tag_field="type", tag="text_delta"):
    """A piece of the answer. It may begin or end in the middle of a grapheme: never trim or normalise a single one."""

    text: str


class ThinkingDelta(msgspec.Struct, frozen=True, tag_field="type", tag="thinking_delta"):
    """A piece of what the model thinks before or between its words."""

    text: str


class ToolResult(msgspec.Struct, frozen=True, tag_field="type", tag="tool_result"):
    """What a call of a tool gave, as the model is told: `text`, and whether it is an error."""

    id: str
    name: str
    text: str
    failed: bool = False


class Finish(msgspec.Struct, frozen=True, tag_field="type", tag="finish"):
    """The answer is complete. Nothing follows."""

    result: Result


class Error(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """The answer failed; `result` is what there was of it. Nothing follows."""

    error: EngineError
    result: Result


__all__ = ["Error", "Event", "Finish", "TextDelta", "ThinkingDelta", "ToolCall", "ToolResult"]

Event = TextDelta | ThinkingDelta | ToolCall | ToolResult | Finish | Error
