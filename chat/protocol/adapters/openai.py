"""What OpenAI's wires have in common: models and errors."""

import math
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from ..errors import ErrorCode
from .base import Adapter, Problem


class Model(Struct, frozen=True):
    id: str
    created: int = 0
    object: Literal["model"] = "model"
    owned_by: str = "site"


class Models(Struct, frozen=True):
    data: list[Model]
    object: Literal["list"] = "list"


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


class OpenAIAdapter(Adapter):
    begins_at_once = False

    def refusal(self, problem: Problem) -> ErrorBody:
        return ErrorBody.of(problem.status, problem.code, problem.message)

    def refusal_headers(self, problem: Problem) -> Mapping[str, str]:
        return retry_headers(problem.code, problem.retry_after)


_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

_CODES: dict[str, str] = {
    ErrorCode.UNAUTHORIZED: "invalid_api_key",
    ErrorCode.NOT_FOUND: "model_not_found",
    ErrorCode.RATE_LIMITED: "rate_limit_exceeded",
    ErrorCode.BUDGET: "insufficient_quota",
}
"""OpenAI's names for some of our codes. The others are as they are."""
