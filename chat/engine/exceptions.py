"""What can go wrong, as exceptions with fields. Providers and the runner raise them; run_stream turns the one that ends
a stream into its Error event.

    EngineError                  message, code: internal, too_many_turns, invalid_output
    +-- ConfigurationError       configuration: no key, unknown provider, a model string that is none
    +-- ProviderError            + provider, status, retry_after, retryable
        +-- DeadlineError        connect_timeout, first_token_timeout, idle_timeout, total_timeout

The codes are those of docs/protocol.md, "Error codes of runs". A message is a sentence or two for people: what happened
and what to do about it: English, and for all but a ConfigurationError, which is for who sets up the site, with what it
takes to say it in another language (`said`). No message and no repr ever holds a key (`mask`).
"""

import re
from collections.abc import Callable

from .i18n import Sentence, _

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
    """The text with `***` for each of `secrets` and for whatever else looks like a key or a bearer token."""
    for secret in secrets:
        if len(secret) > 3:
            text = text.replace(secret, "***")
    return _SECRET.sub(lambda found: (found[1] or found[2] or "") + "***", text)


class EngineError(Exception):
    """A failure of a run. `code` is one of docs/protocol.md; `message` is for people, in whole sentences."""

    def __init__(self, message: str | Sentence, code: str = "internal") -> None:
        self._sentence = message
        self.message = self.said(str)
        self.code = code
        super().__init__(self.message)

    def said(self, translate: Callable[[str], str]) -> str:
        """The message in another language; in English where it was made of nothing that can be translated."""
        sentence = self._sentence
        return mask(sentence.said(translate) if isinstance(sentence, Sentence) else sentence)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, code={self.code!r})"


def internal() -> EngineError:
    """A bug of ours, or of a site's own code; what it was stands in the log alone."""
    return EngineError(_("Something went wrong on our side. It has been logged; try again."))


class ConfigurationError(EngineError):
    """The agent cannot work as it is set up. Nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "configuration")


class ProviderError(EngineError):
    """A provider refused, failed, or broke off.

    `status` is the HTTP status, or the one that an error inside a stream names, or None. `retry_after` is in seconds,
    None where the provider named no time. `retryable` tells whether the same request may succeed later.
    """

    def __init__(
        self,
        message: str | Sentence,
        code: str,
        *,
        provider: str,
        status: int | None = None,
        retry_after: float | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, code)
        self.provider = provider
        self.status = status
        self.retry_after = retry_after
        self.retryable = retryable


class DeadlineError(ProviderError):
    """A provider was silent, or took too long."""
