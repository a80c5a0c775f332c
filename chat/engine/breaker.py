"""Circuit breakers: a model that has failed again and again is not asked for a while. retry.py asks them before each
request, and the fallback answers meanwhile.

    state        a request                               becomes
    -----------  --------------------------------------  ---------------------------------------------------------
    closed       is sent                                 open, after `failures` of them in a row have failed
    open         is refused                              half open, after `seconds`
    half open    one is sent, the others are refused     closed with its first delta; open again if it fails

Only FAILURES count: what a provider may get over. A complete answer ends the row; a request that was refused for its
content, or cancelled, changes nothing. The breakers of one process know nothing of the others'.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, Self

import msgspec

from .exceptions import EngineError, ProviderError
from .i18n import _

State = Literal["closed", "open", "half_open"]
BreakerSetting = Literal["automatic", "open", "closed"]

FAILURES = frozenset(
    {
        "connect_timeout",
        "first_token_timeout",
        "idle_timeout",
        "overloaded",
        "rate_limited",
        "server_error",
        "stream_cut",
        "unreachable",
    }
)
"""The codes of errors that count."""

MOST = 500
"""How many models are remembered. A site has a few; what is closed is forgotten first."""

PAUSED = "model_paused"
"""The code of the error of a request that was refused."""


class BreakerState(msgspec.Struct, frozen=True):
    """The breaker of one model, as it is now."""

    model: str
    """As "provider:model"."""
    state: State
    setting: BreakerSetting
    failures: int
    """In a row, up to now."""
    seconds: float
    """How long it stays open; 0 if it is not, or if people have opened it."""
    error: str
    """The code of the last failure; "" if there was none."""


class Attempt:
    """A request that was let through, as a context manager around it."""

    def __init__(self, breaker: "_Breaker") -> None:
        self._breaker = breaker

    def begin(self) -> None:
        """The first delta has come: a model that was half open works again."""
        if self._breaker.probe is self:
            self._breaker.close()

    def complete(self) -> None:
        """The answer is complete."""
        self._breaker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        is_probe = self._breaker.probe is self
        if is_probe:
            self._breaker.probe = None
        if isinstance(error, EngineError) and error.code in FAILURES:
            self._breaker.fail(error.code, is_probe)


class _Breaker:
    def __init__(self, of: "Breakers") -> None:
        self._of = of
        self.failures = 0
        self.error = ""
        self.opened_at: float | None = None
        self.probe: Attempt | None = None

    def close(self) -> None:
        self.failures, self.error = 0, ""
        self.opened_at = self.probe = None

    def fail(self, code: str, is_probe: bool) -> None:
        self.failures += 1
        self.error = code
        if is_probe or (self.opened_at is None and self.failures >= self._of.failures > 0):
            self.opened_at = self._of.now()

    def left(self) -> float:
        """Seconds until it is half open; 0 if it is, or is closed."""
        if self.opened_at is None:
            return 0.0
        return max(0.0, self.opened_at + self._of.seconds - self._of.now())


class Breakers:
    """The breakers of one process, by model. `failures` of 0 never opens one. `now` is a clock, in seconds."""

    def __init__(self, failures: int = 5, seconds: float = 30.0, now: Callable[[], float] = time.monotonic) -> None:
        self.failures = failures
        self.seconds = seconds
        self.settings: Mapping[str, BreakerSetting] = MappingProxyType({})
        """What people have set, by model. All others are automatic."""
        self.now = now
        self._breakers: dict[str, _Breaker] = {}

    def admit(self, provider: str, name: str) -> Attempt:
        """Let a request to this model of a provider through. Raises ProviderError (PAUSED) if it is not asked now."""
        if provider == "demo":  # which asks nobody
            return Attempt(_Breaker(self))
        model = f"{provider}:{name}"
        breaker = self._of(model)
        setting = self.settings.get(model, "automatic")
        if setting == "closed":
            return Attempt(breaker)
        left = breaker.left()
        if setting == "open" or left or breaker.probe is not None:
            seconds = None if setting == "open" else left or self.seconds
            raise _paused(model, provider, seconds, breaker.error)
        attempt = Attempt(breaker)
        if breaker.opened_at is not None:
            breaker.probe = attempt
        return attempt

    def states(self) -> Iterator[BreakerState]:
        """The breakers of all models that were asked, or that people have set, by name."""
        for model in sorted(self._breakers.keys() | self.settings.keys()):
            breaker, setting = self._of(model), self.settings.get(model, "automatic")
            left = breaker.left()
            state: State = "open" if left else "closed" if breaker.opened_at is None else "half_open"
            if setting != "automatic":
                state, left = setting, 0.0
            yield BreakerState(model, state, setting, breaker.failures, round(left, 1), breaker.error)

    def forget(self) -> None:
        """Close all of them."""
        self._breakers.clear()

    def _of(self, model: str) -> _Breaker:
        if model not in self._breakers:
            if len(self._breakers) >= MOST:
                self._breakers = {name: each for name, each in self._breakers.items() if each.opened_at is not None}
            self._breakers[model] = _Breaker(self)
        return self._breakers[model]


def _paused(model: str, provider: str, seconds: float | None, error: str) -> ProviderError:
    until = "until staff close it" if seconds is None else f"for {seconds:.0f} more seconds"
    last = f" It failed with {error}." if error else ""
    return ProviderError(
        _("The model does not answer at the moment. Try again later."),
        PAUSED,
        provider=provider,
        retry_after=seconds,
        detail=f"{model} is not asked: its circuit breaker is open {until}.{last}",
    )
