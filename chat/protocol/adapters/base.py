"""What all adapters have in common: the question that they read, and the answer that they write."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from ...engine import Usage
from .. import objects
from ..errors import ErrorCode, Refusal, Refused

MAX_MESSAGES = 500
"""How many messages a request may have."""

Name = Annotated[str, Meta(min_length=1, max_length=200)]
"""An id that a client has made."""

# --- Questions


class Turn(Struct, frozen=True):
    """A message of the user, or an answer of the agent."""

    role: Literal["user", "assistant"]
    text: str


class Question(Struct, frozen=True):
    """What a client asks: the history that it keeps itself, and the new text."""

    history: list[Turn]
    text: str

    @classmethod
    def of(cls, turns: Sequence[Turn]) -> "Question":
        """The last turn is the question. Raises Refused if there is none, or it is not the user's."""
        if not turns or turns[-1].role != "user":
            raise Refused(ErrorCode.INVALID, "The `messages` must end with one of the user.")
        return cls([turn for turn in turns[:-1] if turn.text.strip()], turns[-1].text)


def role_of(role: str) -> Literal["user", "assistant"]:
    """Instructions of a client are the user's: what a user writes must not gain more authority than they have."""
    return "assistant" if role == "assistant" else "user"


class Content(Struct, frozen=True):
    """A part of a message's content."""

    type: str
    text: str = ""


def read_text(content: str | Iterable[Content] | None, kinds: tuple[str, ...] = ("text",)) -> str:
    """The text of a message's content, whose parts must be of these kinds. Raises Refused."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = list(content)
    for part in parts:
        if part.type not in kinds:
            raise Refused(ErrorCode.INVALID, f"`content` must be text; {part.type!r} is not supported.")
    return "".join(part.text for part in parts)


def check_tools(*given: list[Any] | None) -> None:
    """Refuse a client's own tools: to ignore them would give an answer to another question."""
    if any(given):
        raise Refused(ErrorCode.INVALID, "`tools` are not supported: the agent has those that the site gave it.")


# --- Answers


class End(Struct, frozen=True):
    """The end of an answer that has not failed, with its whole text."""

    text: str
    thinking: str
    is_complete: bool
    """If not, the run was stopped."""
    is_cut_off: bool
    """Whether it reached the model's length limit."""
    usage: Usage | None


class Problem(Struct, frozen=True):
    """Why there is no answer, or not the rest of it."""

    status: int
    """The HTTP status, if nothing has been sent yet."""
    code: str
    message: str
    retry_after: float | None = None
    """Seconds after which another attempt may succeed."""


class Adapter:
    """Writes one answer in the wire of a client. The methods return what the response gets next, perhaps nothing."""

    streams = True
    """Whether the answer is a stream. If not, it is the JSON of `whole`."""
    begins_at_once = True
    """Whether a stream begins before there is anything to say. If not, a run that fails at once gets an HTTP status."""
    stops_on_leaving = True
    """Whether the run is stopped if its client goes. If not, CANCEL_ON_DISCONNECT decides."""
    shows_calls = False
    """Whether the client sees the calls of the agent's tools."""
    takes_decisions = False
    """Whether the client can decide on tool calls that need approval. If not, they end the run."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """More headers of a stream."""

    def begin(self) -> str:
        return ""

    def add_text(self, text: str) -> str:
        """Some more of the text, never empty."""
        raise NotImplementedError

    def add_thinking(self, text: str) -> str:
        """Some more of what the model thinks, never empty."""
        raise NotImplementedError

    def set_call(self, call: objects.Call, is_new: bool) -> str:
        """A tool call that is new or has changed."""
        raise NotImplementedError

    def await_decision(self, calls: list[objects.Call]) -> str:
        """The end of a stream whose run waits for decisions on these calls."""
        raise NotImplementedError

    def end(self, end: End) -> str:
        raise NotImplementedError

    def fail(self, problem: Problem) -> str:
        """The end of a stream that has begun."""
        raise NotImplementedError

    def whole(self, end: End) -> Struct:
        raise NotImplementedError

    def refusal(self, problem: Problem) -> Struct:
        """The body of a response that has not begun."""
        return Refusal(problem.code, problem.message)

    def refusal_headers(self, problem: Problem) -> Mapping[str, str]:
        return MappingProxyType({})


def event(data: Struct | Mapping[str, Any], name: str = "") -> str:
    """A server-sent event."""
    line = f"event: {name}\n" if name else ""
    return f"{line}data: {msgspec.json.encode(data).decode()}\n\n"  # JSON of msgspec has no line breaks
