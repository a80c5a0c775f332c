"""What goes to a model and what comes back from it. Callers make a list of Message; the runner makes a Result."""

from typing import Any, Literal

import msgspec

from .usage import Usage

Role = Literal["system", "user", "assistant", "tool"]


GO_ON = (
    "Your last answer was cut off in the middle. Go on exactly where it ends: write only what comes next, beginning "
    "with the very next character. Repeat nothing, do not comment on the interruption, keep the language and the "
    "format; an open code block, list or table is still open."
)
"""The wish that an answer goes on that was cut off, as the last message. A prefilled answer would be the other way, but
some wires have none, and some models refuse it."""

AT_LIMIT = frozenset({"length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length"})
"""The finish reasons, on all wires, of an answer that is as long as it may be: it goes on if it is asked to."""


class Image(msgspec.Struct, frozen=True):
    """A picture for a model that takes them: an address that the provider fetches, or the bytes themselves."""

    url: str | None = None
    data: bytes | None = None
    media_type: str = "image/png"


class Replay(msgspec.Struct, frozen=True):
    """An assistant's turn as its vendor wants it back: `content` is in the shape of that `wire`, and holds what no
    other wire has a place for (signatures of thoughts, encrypted thoughts). Other wires rebuild the turn from its
    fields.
    """

    wire: str
    content: Any


class Message(msgspec.Struct, frozen=True):
    """One thing that was said. `name` tells who said it, where several people talk to one model.

    Of an `assistant`: `tool_calls` are what it asked for in that turn, `replay` the turn as its vendor wants it back.
    Of a `tool`: `text` is what the call `call_id` of the tool `name` gave, `failed` whether that is an error.
    """

    role: Role
    text: str
    name: str | None = None
    images: tuple[Image, ...] = ()
    tool_calls: "tuple[ToolCall, ...]" = ()
    replay: Replay | None = None
    call_id: str = ""
    failed: bool = False

    @property
    def spoken(self) -> str:
        """The text as a model gets it: with the name in front. Not every wire has a field for names, and those that
        have one refuse most of the names that people bear."""
        return f"{self.name}: {self.text}" if self.name and self.role == "user" else self.text


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
    """A finished answer, or as much of it as there was when it failed. `text` and `thinking` are what the deltas said,
    over all turns of the run; `tool_calls` and `usage` are of all turns too.

    `finish_reason` is the provider's own word, None if it sent none. `usage` is None if the provider sent no count.
    `refusal` is what a model says instead of an answer, on wires that keep the two apart. `provider` and `model` tell
    who answered. `messages` are what the run adds to the history: turns with their tool calls, results, the answer.
    `pending` are the calls that wait for a person's decision (`resume`). `output` is the answer as the agent's
    `output_type`.
    """

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    refusal: str = ""
    provider: str = ""
    model: str = ""
    messages: tuple[Message, ...] = ()
    pending: tuple[ToolCall, ...] = ()
    output: Any = None
