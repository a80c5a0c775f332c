"""The engine's exceptions. Providers and the runner raise them; run_stream ends a stream with an Error event that holds
one.

    EngineError                  message, detail, code: internal, too_many_turns, answer_too_large, invalid_output
    +-- ConfigurationError       configuration: no key, an unknown provider, an invalid model string
    +-- ProviderError            + provider, status, retry_after, retryable
        +-- DeadlineError        connect_timeout, first_token_timeout, idle_timeout, total_timeout

docs/protocol.md, "Error codes of runs", lists all codes. `message` is for readers: what happened, and what they can do,
in English (`translated` gives other languages). `detail` is for developers and the site's staff, in English: what the
provider said, and which setting to check. No message, detail or repr ever holds a key (`mask`).
"""

import re
from collections.abc import Callable

from .i18n import Translatable, _
from .printable import one_line

_SECRET = re.compile(
    r"""(?ix)
    \b(bearer\s+)[^\s"',;]{16,}                             # Authorization: Bearer ...
    | ((?:api[_-]?key|[?&]key)["']?\s*[=:]\s*["']?)[^\s"'&,;]+
    | \bsk-[a-z0-9*_-]{8,}                                  # OpenAI, Anthropic, OpenRouter, DeepSeek
    | \b(?:gsk|xai|tgp|hf|nvapi)[-_][a-z0-9*_]{16,}         # Groq, xAI, Together ...
    | \bAIza[a-z0-9*_-]{16,}                                # Google
    """
)


def mask(text: str, *secrets: str) -> str:
    """Replace each of `secrets`, and everything that looks like a key or a bearer token, by `***`."""
    for secret in secrets:
        if len(secret) > 3:
            text = text.replace(secret, "***")
    return _SECRET.sub(lambda found: (found[1] or found[2] or "") + "***", text)


class EngineError(Exception):
    """A failed run. `str(error)` is the `detail`; it equals `message` if no detail was given."""

    def __init__(self, message: str | Translatable, code: str = "internal", *, detail: str = "") -> None:
        self._message = message
        self.message = self.translated(str)
        self.detail = one_line(mask(detail)) or self.message
        self.code = code
        super().__init__(self.detail)

    def translated(self, translate: Callable[[str], str]) -> str:
        """The message in another language. `translate` maps English templates, such as Django's gettext does."""
        message = self._message
        return mask(message.translated(translate) if isinstance(message, Translatable) else message)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.detail!r}, code={self.code!r})"


def internal_error() -> EngineError:
    """A bug in our code or in the site's. The traceback is in the log only."""
    return EngineError(_("Something went wrong on our side. Try again."))


TOO_LARGE = _("The model sent more than this site accepts, so the answer was ended. What came before is kept.")

NOT_SET_UP = _("The assistant is not set up correctly. The site's administrator can see why.")


class ConfigurationError(EngineError):
    """The agent cannot work with its settings; nothing was sent. The argument is the `detail`."""

    def __init__(self, detail: str) -> None:
        super().__init__(NOT_SET_UP, "configuration", detail=detail)


class MissingKeyError(ConfigurationError):
    """The environment lacks the key of a provider."""


class ProviderError(EngineError):
    """A provider refused the request, failed, or broke off.

    `status` is the HTTP status, or the status named by an error inside the stream, or None. `retry_after` is in
    seconds, None if the provider named no time. `retryable` is true if the same request may succeed later.
    """

    def __init__(
        self,
        message: str | Translatable,
        code: str,
        *,
        provider: str,
        status: int | None = None,
        retry_after: float | None = None,
        retryable: bool = False,
        detail: str = "",
    ) -> None:
        super().__init__(message, code, detail=detail)
        self.provider = provider
        self.status = status
        self.retry_after = retry_after
        self.retryable = retryable


class DeadlineError(ProviderError):
    """A provider sent nothing, or took too long."""
