"""The input of a run, a list of Message, and its outcome, a Result."""

import re
from typing import Any, Literal

import msgspec

from .usage import Usage

Role = Literal["system", "user", "assistant", "tool"]


CONTINUE_PROMPT = (
    "Your last answer was cut off in the middle. Go on exactly where it ends: write only what comes next, beginning "
    "with the very next character. Repeat nothing, do not comment on the interruption, keep the language and the "
    "format; an open code block, list or table is still open."
)
"""Appended to a history whose last answer was cut off, to continue that answer. The alternative, a prefilled answer, is
missing from some wires and refused by some models."""

LENGTH_FINISH_REASONS = frozenset({"length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length"})
"""The finish reasons, on all wires, of an answer that reached its length limit. It can be continued."""

CONTINUABLE_FINISH_REASONS = LENGTH_FINISH_REASONS | {"pause_turn"}
"""The finish reasons of all answers that can be continued. With `pause_turn`, Anthropic interrupts a long turn in which
its own tools run."""


PLAIN_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
"""The ids of tool calls that every vendor but Mistral accepts: Anthropic takes these characters only, OpenAI at most 40
of them."""


MAX_DEPTH = 100
"""How deep the arguments of a call can be nested. Encoders give up at some depth, which depends on their caller."""


def is_deeper(value: object, levels: int) -> bool:
    """Whether a JSON value is nested deeper than that. Linear, and not recursive."""
    nested = [value] if isinstance(value, dict | list | tuple) else []
    for _ in range(levels):
        inside = [item for one in nested for item in (one.values() if isinstance(one, dict) else one)]
        nested = [item for item in inside if isinstance(item, dict | list | tuple)]
    return bool(nested)


class Image(msgspec.Struct, frozen=True):
    """An image for the model: a `url` that the provider fetches, or the bytes as `data`."""

    url: str | None = None
    data: bytes | None = None
    media_type: str = "image/png"


class Replay(msgspec.Struct, frozen=True):
    """An assistant's turn in the form that its vendor wants back. `content` has the shape of that `wire`, and holds
    data that other wires have no place for, such as signed or encrypted thoughts. Other wires use the fields of the
    Message.
    """

    wire: str
    content: Any


class Message(msgspec.Struct, frozen=True):
    """One message of a history. `name` is its author, if several people talk to one model.

    Of the role "assistant": `tool_calls` are the calls made in that turn, `replay` is the turn as its vendor wants it
    back. Of the role "tool": `text` is the result of the call `call_id` of the tool `name`; `failed` is true if it is
    an error.
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
    def text_with_name(self) -> str:
        """The text with the author's name in front, as a model gets it. Not every wire has a field for names, and those
        that have one refuse most real names."""
        return f"{self.name}: {self.text}" if self.name and self.role == "user" else self.text


class ToolCall(msgspec.Struct, frozen=True, tag_field="type", tag="tool_call"):
    """A tool call by the model. As an event it comes when it is complete.

    `raw` is what the model wrote. `arguments` is that as an object, or None if it is not one (cut off by a token limit,
    or invalid).

    In a stream and a history, `id` is a short key that is unique there: the provider's id, or one of ours if that is
    missing, used already, or not made of at most 40 letters, digits, _ and -. Then `provider_id` is what the provider
    sent, and `model` is the model that sent it, as provider:model: it alone gets it back (normalize_history.py).
    """

    id: str
    name: str
    arguments: dict[str, Any] | None
    raw: str = ""
    provider_id: str = ""
    model: str = ""

    @property
    def received_id(self) -> str:
        """The id as the provider sent it, or ours if it sent none."""
        return self.provider_id or self.id


class Result(msgspec.Struct, frozen=True):
    """The outcome of a run, or what was received before it failed.

    `text` and `thinking` are the joined deltas; they, `tool_calls` and `usage` cover all turns of the run.
    `finish_reason` is the provider's own word, None if it sent none. `usage` is None if the provider sent no count.
    `refusal` is what a model says instead of an answer, on wires that mark it. `provider` and `model` name the model
    that answered. `messages` are what the run adds to the history: turns with tool calls, results, the answer.
    `pending` are the calls that wait for a decision (`resume`). `output` is the answer as the agent's `output_type`.
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
