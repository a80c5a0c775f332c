"""OpenAI's wire for chat completions, as far as the chat speaks it (docs/api.md, "Clients of OpenAI").

Fields of a request that are not here are ignored: the settings of the agent decide.
"""

import math
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from ..engine import Usage
from .errors import ErrorCode, Refused

MAX_MESSAGES = 500
"""How many messages a request may have."""

# --- Requests


class ContentPart(Struct, frozen=True):
    type: str
    text: str = ""


class RequestMessage(Struct, frozen=True):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        """Raises Refused if a part is not text."""
        if not isinstance(self.content, list):
            return self.content or ""
        for part in self.content:
            if part.type != "text":
                raise Refused(ErrorCode.INVALID, f"`content` must be text; {part.type!r} is not supported.")
        return "".join(part.text for part in self.content)


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

    def check(self) -> None:
        """Raises Refused for what the chat cannot do. To ignore it would give an answer to another question."""
        if self.n is not None and self.n != 1:
            raise Refused(ErrorCode.INVALID, "`n` must be 1: the chat gives one answer.")
        if self.tools or self.functions:
            raise Refused(ErrorCode.INVALID, "`tools` are not supported: the agent has those that the site gave it.")
        if self.messages[-1].role == "assistant":
            raise Refused(ErrorCode.INVALID, "`messages` must end with one of the user.")


# --- Answers


class Model(Struct, frozen=True):
    id: str
    created: int = 0
    object: Literal["model"] = "model"
    owned_by: str = "site"


class Models(Struct, frozen=True):
    data: list[Model]
    object: Literal["list"] = "list"


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


# --- Errors


class ErrorDetail(Struct, frozen=True):
    message: str
    type: str
    code: str
    param: None = None


class ErrorBody(Struct, frozen=True):
    """The body of every refusal, and the last event of a stream that failed."""

    error: ErrorDetail

    @classmethod
    def of(cls, status: int, code: str, message: str) -> "ErrorBody":
        kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
        return cls(ErrorDetail(message, kind, _CODES.get(code, code)))


def retry_headers(code: str, retry_after: float | None) -> dict[str, str]:
    """When a client may ask again, after so many seconds if that is known.

    OpenAI's clients repeat each 429 and 5xx unless they are told not to. That is in vain for a budget, and what can be
    repeated at once, the run has repeated by itself.
    """
    headers = {} if retry_after is None else {"Retry-After": str(math.ceil(retry_after))}
    if retry_after is None or code == ErrorCode.BUDGET:
        headers["X-Should-Retry"] = "false"
    return headers


_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

_CODES: dict[str, str] = {
    ErrorCode.UNAUTHORIZED: "invalid_api_key",
    ErrorCode.NOT_FOUND: "model_not_found",
    ErrorCode.RATE_LIMITED: "rate_limit_exceeded",
    ErrorCode.BUDGET: "insufficient_quota",
}
"""OpenAI's names for some of our codes. The others are as they are."""
