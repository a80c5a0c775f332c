"""Refusals: the error that a command or an HTTP request gets instead of its result."""

from enum import StrEnum

from django.utils.translation import gettext as _
from msgspec import Struct

RETRY_AFTER = 2.0
"""Seconds that a client is asked to wait while the database is away."""


class ErrorCode(StrEnum):
    """Why a command or a request was refused (docs/protocol.md, "Error codes of commands")."""

    BAD_JSON = "bad_json"
    UNKNOWN_COMMAND = "unknown_command"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    NOT_FOUND = "not_found"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    CONFLICT = "conflict"
    STALE = "stale"
    RUN_OVER = "run_over"
    UNAVAILABLE = "unavailable"
    BUSY = "busy"
    BUDGET = "budget"
    REJECTED = "rejected"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"

    @property
    def http_status(self) -> int:
        """The status of an HTTP response that carries this code."""
        return _HTTP_STATUS.get(self, 400)


_HTTP_STATUS = {
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.REJECTED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.STALE: 409,
    ErrorCode.RUN_OVER: 409,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.BUDGET: 429,
    ErrorCode.BUSY: 503,
    ErrorCode.UNAVAILABLE: 503,
}


class Refused(Exception):
    """A command or an HTTP request was refused.

    `message` is a sentence for users, in the active language. If it is about a field or a frame it is in English,
    because only authors of clients see it. `ref` is set for commands that could not be parsed, if their `ref` could.
    `retry_after` is set if a retry may succeed, in seconds.
    """

    def __init__(self, code: ErrorCode, message: str, ref: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.ref, self.retry_after = code, message, ref, retry_after


class Refusal(Struct, frozen=True):
    """The body of every refusal over HTTP, except for OpenAI's clients."""

    code: str
    message: str


def database_unavailable() -> Refused:
    """The refusal of what the database does not answer in time."""
    return Refused(
        ErrorCode.UNAVAILABLE,
        _("The server cannot save or load anything right now. Try again soon."),
        retry_after=RETRY_AFTER,
    )
