"""A request in, the answer of the first model that gives one out. The runner asks it for each turn.

    what fails before the first delta              what happens
    ---------------------------------------------  --------------------------------------------------------------
    a ProviderError that is `retryable`            the same again, `Limits.max_retries` times, after a pause
    any other, or the last of these                the next model of `Agent.fallback`
    ConfigurationError of a fallback               that one is left out, with a line in the log
    ConfigurationError of `Agent.model`            the run fails: the site has to mend it

After the first delta nothing is tried again: somebody has read it. A model that has taken over keeps the run.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import msgspec

from .agent import Agent
from .exceptions import ConfigurationError, DeadlineError, EngineError, ProviderError
from .i18n import _
from .limits import Limits
from .providers import provider_for
from .providers.parser import Delta
from .providers.provider import Completion, Provider, Request

logger = logging.getLogger("nous_chat.engine")


def pause(attempt: int, retry_after: float | None, chance: float) -> float:
    """Seconds to wait before trying again, the first time being attempt 0. `chance` is in [0, 1): runs that failed
    together shall not come back together.

    Half a second, doubled each time, at most 8, of which up to the half is left to chance; or what the provider asked
    for and up to a tenth more.
    """
    if retry_after:
        return retry_after * (1 + chance / 10)
    return min(8.0, 0.5 * 2.0**attempt) * (1 - chance / 2)


class TotalTime:
    """When the whole run has to be over: `limits.total` from now on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._time = asyncio.get_running_loop().time
        self.until = self._time() + limits.total

    @property
    def left(self) -> float:
        return self.until - self._time()

    def error(self, provider: str) -> DeadlineError:
        sentence = _(
            "The answer was not done within %(seconds)s seconds. Try again.", seconds=f"{self._limits.total:g}"
        )
        return DeadlineError(sentence, "total_timeout", provider=provider)


class Models:
    """An agent's models: `provider` is the one that is being asked, or that answered last. Raises ConfigurationError
    where the agent's own model cannot be."""

    def __init__(self, agent: Agent, time: TotalTime, chance: Callable[[], float] = random.random) -> None:
        self.provider: Provider = provider_for(agent.model)
        self._first = self.provider
        self._fallback = list(agent.fallback)
        self._limits = agent.limits
        self._time = time
        self._chance = chance

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Completion, None]:
        """What a provider streams. Raises EngineError where none answers, or the one that does breaks off; the failures
        before the one that is raised stand in its notes."""
        failures: list[EngineError] = []
        attempt = 0
        while True:
            begun = False
            try:
                async with aclosing(self.provider.stream(self._fresh(request))) as stream:
                    async for event in stream:
                        begun = begun or not isinstance(event, Completion)
                        yield event
                return
            except EngineError as error:
                failure = self._time.error(self.provider.name) if error.code == "total_timeout" else error
                failures.append(failure)
                if begun or self._is_final(failure):
                    raise _noted(failure, failures) from error.__cause__
            wait = self._wait(failure, attempt)
            if wait is not None:
                attempt += 1
                most = self._limits.max_retries
                logger.warning("%s Again in %.1f s, %d of %d.", failure.message, wait, attempt, most)
                await asyncio.sleep(wait)
                continue
            attempt = 0
            if not self._turn_to_next(failure):
                provider_errors = [failure for failure in failures if isinstance(failure, ProviderError)]
                last = (provider_errors or failures)[-1]
                raise _noted(last, failures)

    def _fresh(self, request: Request) -> Request:
        """The request for this model, and for the time that is left."""
        settings = request.settings if self.provider.name == self._first.name else {}
        limits = replace(request.limits, total=max(self._time.left, 0.001))
        return msgspec.structs.replace(request, settings=settings, limits=limits)

    def _is_final(self, failure: EngineError) -> bool:
        if failure.code == "total_timeout":
            return True
        return not isinstance(failure, ProviderError) and self.provider is self._first

    def _wait(self, failure: EngineError, attempt: int) -> float | None:
        """Seconds until the same model is asked again; None if it is not."""
        if not (isinstance(failure, ProviderError) and failure.retryable and attempt < self._limits.max_retries):
            return None
        if (failure.retry_after or 0) > self._limits.max_retry_wait:
            return None
        wait = pause(attempt, failure.retry_after, self._chance())
        return wait if wait < self._time.left else None

    def _turn_to_next(self, failure: EngineError) -> bool:
        """Whether there is another model to ask."""
        while self._fallback:
            model = self._fallback.pop(0)
            try:
                self.provider = provider_for(model)
            except ConfigurationError as error:
                logger.warning("The fallback %s is left out: %s", model, error.message)
                continue
            logger.warning("%s Now %s:%s is asked.", failure.message, self.provider.name, self.provider.model)
            return True
        return False


def _noted(error: EngineError, failures: Sequence[EngineError]) -> EngineError:
    for other in failures:
        if other is not error:
            error.add_note(f"Before: {other.message} ({other.code})")
    return error
