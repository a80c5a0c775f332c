"""Refusals: what a command or an HTTP request gets instead of its result."""

from enum import StrEnum


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
    RUN_OVER = "run_over"
    UNAVAILABLE = "unavailable"
    BUSY = "busy"
    BUDGET = "budget"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"

    @property
    def http_status(self) -> int:
        """The status of an HTTP response that carries this code."""
        return _HTTP_STATUS.get(self, 400)


_HTTP_STATUS = {
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.BUSY: 503,
    ErrorCode.UNAVAILABLE: 503,
}


class Refused(Exception):
    """A command or a request that cannot be done.

    `message` is a sentence for users, in the active language. Sentences about fields and frames are in English, since
    only authors of clients meet them. `retry_after` is in seconds, where trying again later may help. `ref` is the
    command's, where it could be read although the command could not.
    """

    def __init__(self, code: ErrorCode, message: str, ref: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.ref, self.retry_after = code, message, ref, retry_after
