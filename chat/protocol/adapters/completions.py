"""OpenAI's wire for chat completions, as far as the chat speaks it (docs/api.md, "Clients of OpenAI").

Fields of a request that are not here are ignored: the settings of the agent decide.
"""

import time
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

from ...engine import Usage
from ..errors import ErrorCode, Refused
from .base import MAX_MESSAGES, Content, End, Problem, Question, Turn, check_tools, event, read_text, role_of
from .openai import OpenAIAdapter

# --- Requests


class RequestMessage(Struct, frozen=True):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Content] | None = None


class StreamOptions(Struct, frozen=True):
    include_usage: bool = False


class CompletionRequest(Struct, frozen=True):
    model: str
    """An agent's slug."""
    messages: Annotated[list[RequestMessage], Meta(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None

    def read(self) -> Question:
        """Raises Refused for what the chat cannot do. To ignore it would give an answer to another question."""
        if self.n is not None and self.n != 1:
            raise Refused(ErrorCode.INVALID, "`n` must be 1: the chat gives one answer.")
        check_tools(self.tools, self.functions)
        return Question.of([Turn(role_of(each.role), read_text(each.content)) for each in self.messages])


# --- Answers


class PromptDetails(Struct, frozen=True):
    cached_tokens: int


class CompletionDetails(Struct, frozen=True):
    reasoning_tokens: int


class CompletionUsage(Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails

    @classmethod
    def of(cls, usage: Usage) -> "CompletionUsage":
        read, written = usage.input_tokens or 0, usage.output_tokens or 0
        return cls(
            prompt_tokens=read,
            completion_tokens=written,
            total_tokens=usage.total_tokens or read + written,
            prompt_tokens_details=PromptDetails(usage.cached_tokens or 0),
            completion_tokens_details=CompletionDetails(usage.reasoning_tokens or 0),
        )


class AnswerMessage(Struct, frozen=True, omit_defaults=True):
    content: str
    role: str
    reasoning_content: str = ""
    """Not OpenAI's: the name that other providers and their clients have for what a model thinks."""


class Choice(Struct, frozen=True):
    message: AnswerMessage
    finish_reason: Literal["stop", "length"]
    index: int = 0


class Completion(Struct, frozen=True):
    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: CompletionUsage | None
    object: Literal["chat.completion"] = "chat.completion"


class Delta(Struct, frozen=True, omit_defaults=True):
    role: str = ""
    content: str = ""
    reasoning_content: str = ""


class ChunkChoice(Struct, frozen=True):
    delta: Delta
    finish_reason: Literal["stop", "length"] | None = None
    index: int = 0


class Chunk(Struct, frozen=True):
    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | None = None
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


class CompletionAdapter(OpenAIAdapter):
    def __init__(self, request: CompletionRequest, run: UUID) -> None:
        self.streams = bool(request.stream)
        self._with_usage = request.stream_options is not None and request.stream_options.include_usage
        self._head: dict[str, Any] = {
            "id": f"chatcmpl-{run.hex}",
            "created": int(time.time()),
            "model": request.model,
        }

    def begin(self) -> str:
        return self._choice(Delta(role="assistant"))

    def add_text(self, text: str) -> str:
        return self._choice(Delta(content=text))

    def add_thinking(self, text: str) -> str:
        return self._choice(Delta(reasoning_content=text))

    def end(self, end: End) -> str:
        last = self._choice(Delta(), finish_reason(end))
        if self._with_usage and end.usage is not None:
            last += event(Chunk(**self._head, choices=[], usage=CompletionUsage.of(end.usage)))
        return f"{last}data: [DONE]\n\n"

    def fail(self, problem: Problem) -> str:
        return event(self.refusal(problem))

    def whole(self, end: End) -> Completion:
        message = AnswerMessage(role="assistant", content=end.text, reasoning_content=end.thinking)
        usage = None if end.usage is None else CompletionUsage.of(end.usage)
        return Completion(**self._head, choices=[Choice(message, finish_reason(end))], usage=usage)

    def _choice(self, delta: Delta, finish: Literal["stop", "length"] | None = None) -> str:
        return event(Chunk(**self._head, choices=[ChunkChoice(delta, finish)]))


def finish_reason(end: End) -> Literal["stop", "length"]:
    return "length" if end.is_cut_off else "stop"
