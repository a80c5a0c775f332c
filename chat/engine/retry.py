"""Retries and fallback: streams the answer of the first model that gives one. The runner calls it for each turn.

    failure before the first delta                 what happens
    ---------------------------------------------  --------------------------------------------------------------
    a ProviderError that is `retryable`            the same request again, up to `Limits.max_retries` times
    another ProviderError, or the last retry       the next model of `Agent.fallback`
    its circuit breaker is open (breaker.py)       the next model of `Agent.fallback`
    ConfigurationError of a fallback               that model is skipped, with a warning in the log
    ConfigurationError of `Agent.model`            the run fails: the site has to correct its settings

A wait of a second or more is announced by a RetryWait event, another model by a Fallback. After the first delta nothing
is retried, because somebody has read it. A fallback model keeps the rest of the run.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import msgspec

from .agent import Agent
from .breaker import PAUSED, Breakers
from .events import Fallback, RetryWait
from .exceptions import ConfigurationError, DeadlineError, EngineError, ProviderError
from .i18n import _
from .limits import Limits
from .providers import provider_for
from .providers.parser import Delta
from .providers.provider import Completion, Provider, Request
from .providers.recording import note
from .telemetry import NOTHING, Span, request_span

logger = logging.getLogger("nous_chat.engine")

ANNOUNCED_WAIT = 1.0
"""Seconds. Nobody needs to know of a shorter wait before a retry."""


def backoff(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Seconds to wait before the next attempt; `attempt` is 0 for the first retry. `jitter`, in [0, 1), keeps runs that
    failed together from retrying together.

    Half a second, doubled each time, at most 8 seconds, minus up to half of that; or `retry_after` and up to a tenth
    more.
    """
    if retry_after:
        return retry_after * (1 + jitter / 10)
    return min(8.0, 0.5 * 2.0**attempt) * (1 - jitter / 2)


class RunDeadline:
    """The end of `limits.total` for a run that starts now. `time` is on the event loop's clock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._now = asyncio.get_running_loop().time
        self.time = self._now() + limits.total

    @property
    def remaining(self) -> float:
        """Seconds."""
        return self.time - self._now()

    def error(self, provider: str) -> DeadlineError:
        seconds = f"{self._limits.total:g}"
        message = _("The answer was not finished within %(seconds)s seconds. Try again.", seconds=seconds)
        return DeadlineError(message, "total_timeout", provider=provider)


class ModelChain:
    """An agent's model and its fallbacks. `provider` is the one being asked, or that answered last. Raises
    ConfigurationError if the agent's own model cannot be used."""

    def __init__(
        self,
        agent: Agent,
        deadline: RunDeadline,
        random: Callable[[], float] = random.random,
        span: Span = NOTHING,
    ) -> None:
        self.provider: Provider = provider_for(agent.model, agent.environ)
        self._agent = agent
        self._span = span
        self._first = self.provider
        self._fallback = list(agent.fallback)
        self._limits = agent.limits
        self._environ = agent.environ
        self._breakers = agent.breakers or Breakers(failures=0)
        self._deadline = deadline
        self._random = random

    @property
    def model(self) -> str:
        """Of `provider`, as "provider:model"."""
        return f"{self.provider.name}:{self.provider.model}"

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Completion | RetryWait | Fallback, None]:
        """The events of the first provider that answers. Raises EngineError if none does, or if it breaks off. The
        notes of that error list the failures before it."""
        failures: list[EngineError] = []
        attempt = 0
        while True:
            started = False
            try:
                adapted = self._adapt(request)
                with (
                    self._breakers.admit(self.provider.name, self.provider.model) as admitted,
                    request_span(self._agent, self.provider, adapted, self._span) as span,
                ):
                    async with aclosing(self.provider.stream(adapted)) as stream:
                        async for event in stream:
                            if isinstance(event, Completion):
                                span.complete(event)
                            else:
                                if not started:
                                    started = True
                                    admitted.begin()
                                    span.begin()
                                span.add(event)
                            yield event
                    admitted.complete()
                return
            except EngineError as error:
                failure = self._deadline.error(self.provider.name) if error.code == "total_timeout" else error
                failures.append(failure)
                note("failed", model=self.model, code=failure.code, detail=failure.detail)
                if started or self._is_final(failure):
                    raise _add_notes(failure, failures) from error.__cause__
            wait = self._retry_wait(failure, attempt)
            if wait is not None:
                attempt += 1
                logger.warning(
                    "%s Retrying in %.1f s, %d of %d.", failure.detail, wait, attempt, self._limits.max_retries
                )
                note("retry", seconds=round(wait, 3))
                if wait >= ANNOUNCED_WAIT:
                    yield RetryWait(wait, failure.code)
                await asyncio.sleep(wait)
                continue
            attempt = 0
            if not self._switch_to_fallback(failure):
                provider_errors = [failure for failure in failures if isinstance(failure, ProviderError)]
                said = [failure for failure in provider_errors if failure.code != PAUSED]
                last = (said or provider_errors or failures)[-1]
                raise _add_notes(last, failures)
            note("fallback", model=self.model)
            yield Fallback(self.model, failure.code)

    def _adapt(self, request: Request) -> Request:
        """The request for the current model, with the remaining time."""
        settings = request.settings if self.provider.name == self._first.name else {}
        limits = replace(request.limits, total=max(self._deadline.remaining, 0.001))
        return msgspec.structs.replace(request, settings=settings, limits=limits)

    def _is_final(self, failure: EngineError) -> bool:
        if failure.code == "total_timeout":
            return True
        return not isinstance(failure, ProviderError) and self.provider is self._first

    def _retry_wait(self, failure: EngineError, attempt: int) -> float | None:
        """Seconds until the same model is asked again, or None if it is not."""
        if not (isinstance(failure, ProviderError) and failure.retryable and attempt < self._limits.max_retries):
            return None
        if (failure.retry_after or 0) > self._limits.max_retry_wait:
            return None
        wait = backoff(attempt, failure.retry_after, self._random())
        return wait if wait < self._deadline.remaining else None

    def _switch_to_fallback(self, failure: EngineError) -> bool:
        """False if no fallback is left."""
        while self._fallback:
            model = self._fallback.pop(0)
            try:
                self.provider = provider_for(model, self._environ)
            except ConfigurationError as error:
                logger.warning("The fallback %s is skipped: %s", model, error.detail)
                continue
            logger.warning("%s Falling back to %s:%s.", failure.detail, self.provider.name, self.provider.model)
            return True
        return False


def _add_notes(error: EngineError, failures: Sequence[EngineError]) -> EngineError:
    for earlier in failures:
        if earlier is not error:
            error.add_note(f"Before: {earlier.detail} ({earlier.code})")
    return error
