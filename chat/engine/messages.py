"""What goes to a model and what comes back from it. Callers make a list of Message; the runner makes a Result."""

from typing import Any, Literal

import msgspec

from .usage import Usage

Role = Literal["system", "user", "assistant"]


class Message(msgspec.Struct, frozen=True):
    """One thing that was said. `name` tells who said it, where several people talk to one model."""

    role: Role
    text: str
    name: str | None = None

    @property
    def spoken(self) -> str:
        """The text as a model gets it: with the name in front. Not every wire has a field for names, and those that
        have one refuse most of the names that people bear."""
        return f"{self.name}: {self.text}" if self.name else self.text


class ToolCall(msgspec.Struct, frozen=True, tag_field="type", tag="tool_call"):
    """One use of a tool that the model asks for: an event of the stream when it is whole, and a part of the result.

    `raw` is what the model wrote; `arguments` is that as an object, or None where it is not one (cut off by a token
    limit, or simply wrong).
    """

    id: str
    name: str
    arguments: dict[str, Any] | None
    raw: str = ""


class Result(msgspec.Struct, frozen=True):
    """A finished answer, or as much of it as there was when it failed.

    `finish_reason` is the provider's own word, None if it sent none. `usage` is None if the provider sent no count.
    `refusal` is what a model says instead of an answer, on wires that keep the two apart. `provider` and `model` tell
    who answered.
    """

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    refusal: str = ""
    provider: str = ""
    model: str = ""
