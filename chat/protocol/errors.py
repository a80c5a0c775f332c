"""Refusals: what a command or a request gets instead of its result."""


class Refused(Exception):
    """A command that cannot be done. `code` is from docs/protocol.md, `message` a sentence for people, `retry_after` in
    seconds where trying again later may help.

    The sentence is in the language that is active where this is made. About fields and frames it is in English: only
    who writes a client meets those.
    """

    def __init__(self, code: str, message: str, ref: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.ref, self.retry_after = code, message, ref, retry_after


STATUS = {
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "rate_limited": 429,
    "busy": 503,
    "unavailable": 503,
}
